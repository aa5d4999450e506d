"""Calls in FROM taken out of a block: what stands before them is the Source, then each is asked and its rows unnested.

Only items at the end of the FROM can be, because what stands behind one may read its columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..plan.nodes import Column, Unnest
from ..types import needs_cast, parse_type
from .bind_call import BoundCall, BoundCalls
from .guards import split_logical
from .keys import name_of, within
from .laterals import RowItem, column_names, item_name, row_item
from .names import Names, quote, stub
from .scope import NotLiftableError
from .splice import words
from .tokens import NOTHING, Range, Text

if TYPE_CHECKING:
    from .bind_block import BlockBinder

_PART = re.compile(r'"(?:[^"]|"")*"|[^.\s"]+')


@dataclass(frozen=True, slots=True)
class RowCall:
    """A call in FROM.

    Parameters
    ----------
    start : the token of its name. alias : what its rows are called. columns : the rows', labelled with their names.
    keep_empty : a row without rows stays (LEFT JOIN). condition : what follows ON, of an inner join.
    """

    start: int
    alias: str
    columns: tuple[Column, ...]
    keep_empty: bool = False
    condition: Range = NOTHING


def cut_row_calls(text: Text, where: Range, calls: BoundCalls, names: Names) -> tuple[Range, tuple[RowCall, ...]]:
    """The FROM without the calls at its end, and these in their order."""
    taken: list[RowCall] = []
    while where and (found := _last(text, where, calls, names)) is not None:
        where, call = found
        taken.append(call)
    return where, tuple(taken[::-1])


def _last(text: Text, where: Range, calls: BoundCalls, names: Names) -> tuple[Range, RowCall] | None:
    mark = max((i for i in text.top(where) if text.word(i) in (",", "JOIN")), default=where.lo - 1)
    start = mark + 1 + (text.word(mark + 1) == "LATERAL")
    if start not in calls or not calls[start].located.in_from:
        return None
    item = row_item(text, calls[start].located.whole)
    join = _join(text, mark) if mark >= where.lo else ("CROSS", where.lo)
    condition = _condition(text, item, where) if join else None
    if join is None or condition is None or bool(condition) == (join[0] == "CROSS"):
        return None
    true = text.word(condition.lo) == "TRUE" and condition.hi - condition.lo == 1
    if join[0] == "LEFT" and not true:
        return None
    outputs = _outputs(item, calls[start], names)
    call = RowCall(start, item_name(text, start, item), outputs, join[0] == "LEFT", NOTHING if true else condition)
    return (Range(where.lo, join[1]), call) if outputs else None


def _join(text: Text, mark: int) -> tuple[str, int] | None:
    """How the item behind a comma or JOIN is joined, and where what it is joined to ends."""
    if text.word(mark) == ",":
        return "CROSS", mark
    before = text.word(mark - 1)
    if before == "OUTER":
        return ("LEFT", mark - 2) if text.word(mark - 2) == "LEFT" else None
    if before in ("CROSS", "INNER", "LEFT"):
        return before, mark - 1
    other = before in ("RIGHT", "FULL", "SEMI", "ANTI", "ASOF", "NATURAL", "POSITIONAL")
    return None if other else ("INNER", mark)


def _condition(text: Text, item: RowItem, where: Range) -> Range | None:
    """What follows ON; ``None``: something else follows."""
    if item.end == where.hi:
        return NOTHING
    return Range(item.end + 1, where.hi) if text.word(item.end) == "ON" else None


def _outputs(item: RowItem, bound: BoundCall, names: Names) -> tuple[Column, ...]:
    """The columns; none where two have one name."""
    fields = bound.type.child.fields
    called = column_names(item, [name for name, _ in fields])
    if len({name.lower() for name in called}) < len(called):
        return ()
    return tuple(Column(names.fresh("s"), kind.text, name) for name, (_, kind) in zip(called, fields, strict=True))


# --- what the block reads of them ---------------------------------------------------------------------------------------


def read_sql(column: Column) -> str:
    """How a plan column is read: one that holds an answer travels in a type that Arrow has."""
    cast = column.name.startswith("__s") and needs_cast(parse_type(column.type))
    return f"CAST({column.name} AS {column.type})" if cast else column.name


def conditions_of(binder: BlockBinder) -> list[Range]:
    """Conjuncts of the ON of inner joins: as good in WHERE."""
    return [c for call in binder.row_calls if call.condition for c in split_logical(binder.text, call.condition, "AND")]


def arguments_of(binder: BlockBinder) -> list[Range]:
    """Where the calls read columns."""
    return [binder.calls[call.start].located.whole for call in binder.row_calls]


def with_row_items(binder: BlockBinder, from_sql: str) -> str:
    """The FROM with empty tables of the same columns in the place of the calls, for asking DuckDB about names."""
    tables = (
        f"({stub(Column(c.label, c.type, c.label) for c in call.columns)}) AS {quote(call.alias)}"
        for call in binder.row_calls
    )
    return ", ".join([*([from_sql] if from_sql else []), *tables])


def row_columns(binder: BlockBinder, references: Sequence[Range]) -> Mapping[Range, Column]:
    """The references that mean a column of a call's rows. A call's own arguments see the items before it only."""
    found = {}
    for reference in references:
        inside = (i for i, c in enumerate(binder.row_calls) if within(reference, binder.calls[c.start].located.whole))
        column = row_column(binder.text.source(reference), binder.row_calls[: next(inside, None)])
        if column is not None:
            found[reference] = column
    return found


def row_column(reference: str, calls: Sequence[RowCall]) -> Column | None:
    """The column that ``claim`` or ``s.claim`` names."""
    parts = [name_of(part) for part in _PART.findall(reference)]
    alias = parts[0] if len(parts) == 2 else None
    if not parts or len(parts) > 2:
        return None
    named = [
        column
        for call in calls
        if alias is None or call.alias.lower() == alias
        for column in call.columns
        if column.label.lower() == parts[-1]
    ]
    return named[0] if len(named) == 1 else None


def star_columns(binder: BlockBinder, star: str) -> tuple[bool, tuple[Column, ...]]:
    """Whether a star reads the FROM, and what it reads of the calls' rows.

    Raises
    ------
    NotLiftableError : it is more than ``*`` or ``s.*``.
    """
    if not binder.row_calls:
        return True, ()
    every = tuple(c for call in binder.row_calls for c in call.columns)
    if star == "*":
        return bool(binder.from_range), every
    qualified = re.fullmatch(rf"({_PART.pattern})\.\*", star)
    if qualified is None:
        raise NotLiftableError("a star expression beside a call in FROM")
    named = [call for call in binder.row_calls if call.alias.lower() == name_of(qualified[1])]
    return not named, named[0].columns if named else ()


def add_row_calls(binder: BlockBinder) -> None:
    """Ask each, and unnest its answers."""
    for call in binder.row_calls:
        whole = binder.calls[call.start].located.whole
        binder.add_calls(whole)
        answer = binder.done[call.start].name
        label = f"{words(binder.text, whole)} AS {call.alias}({', '.join(c.label for c in call.columns)})"
        binder.plan = Unnest(binder.plan, answer, call.columns, call.keep_empty, label)
