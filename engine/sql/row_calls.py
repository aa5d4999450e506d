"""Items of FROM that make many rows of one by a call: what stands before them is the Source, then each is asked and unnested."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb

from ..plan.nodes import Column, Compute, Computed, Unnest
from ..types import SqlType, needs_cast, parse_type
from .aggregates_at import aggregates_in
from .guards import split_logical
from .keys import name_of, within
from .laterals import column_names
from .names import quote, stub
from .place_call import type_of
from .row_items import RowCall
from .scope import NotLiftableError, rejected
from .splice import Splice, words
from .stand_in import stand_in
from .tokens import Range

if TYPE_CHECKING:
    from .bind_block import BlockBinder

_PART = re.compile(r'"(?:[^"]|"")*"|[^.\s"]+')


# --- their columns ------------------------------------------------------------------------------------------------------


def with_columns(binder: BlockBinder, calls: Sequence[RowCall]) -> tuple[RowCall, ...]:
    """The items with the columns of their rows.

    Raises
    ------
    NotLiftableError : one unnests something that is no list, or its columns cannot be told apart.
    """
    made: tuple[RowCall, ...] = ()
    for call in calls:
        made = (*made, replace(call, columns=_columns(binder, call, made)))
    return made


def _columns(binder: BlockBinder, call: RowCall, before: Sequence[RowCall]) -> tuple[Column, ...]:
    fields = _fields(call, list_type(binder, call.list, with_row_items(before, binder.from_sql())).child)
    called = column_names(call.item, [name for name, _ in fields])
    if len(called) > len(fields) or len({name.lower() for name in called}) < len(called):
        raise NotLiftableError("the rows of a call in FROM have two columns of one name, or too few")
    kind = "s" if answers(binder, call.list) else "a"
    return tuple(Column(binder.names.fresh(kind), t.text, n) for n, (_, t) in zip(called, fields, strict=True))


def _fields(call: RowCall, element: SqlType) -> Sequence[tuple[str, SqlType]]:
    """Names and types of what an element becomes."""
    unnest = call.unnest
    if unnest is None or (unnest.fields and element.kind == "struct"):
        return element.fields
    if unnest.fields:
        raise NotLiftableError("lists are unnested, and what is in them, too")
    if unnest.ordinality:
        return [("unnest", element), ("ordinality", parse_type("BIGINT"))]
    return [(unnest.name or call.item.alias or "unnest", element)]


def answers(binder: BlockBinder, where: Range) -> bool:
    """Whether an expression is a call, and nothing else."""
    return where.lo in binder.calls and binder.calls[where.lo].located.whole == where


def list_type(binder: BlockBinder, where: Range, from_sql: str) -> SqlType:
    """The type of an expression with calls over a FROM.

    Raises
    ------
    NotLiftableError : it is no list, or an aggregate.
    """
    if answers(binder, where):
        kind = binder.calls[where.lo].type
    elif aggregates_in(binder, where):
        raise NotLiftableError("an aggregate is unnested")
    else:
        splice = Splice(binder.text)
        for start in binder.calls_in(where):
            bound = binder.calls[start]
            stand_in(binder.text, splice, bound.located, f"NULL::{bound.type.text}", bound.arguments.texts)
        try:
            described = binder.describe_items([splice.render(where)[0]], from_sql)[0][1]
        except duckdb.Error as error:
            raise rejected(error) from None
        try:
            kind = parse_type(described)
        except ValueError:
            raise NotLiftableError(f"what is unnested is {described}") from None
    if kind.kind != "list":
        raise NotLiftableError("what is unnested is no list")
    return kind


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
    return [call.list for call in binder.row_calls]


def with_row_items(calls: Sequence[RowCall], from_sql: str) -> str:
    """The FROM with empty tables of the same columns in the place of the calls, for asking DuckDB about names."""
    tables = (
        f"({stub(Column(c.label, c.type, c.label) for c in call.columns)}) AS {quote(call.alias)}" for call in calls
    )
    return ", ".join([*([from_sql] if from_sql else []), *tables])


def row_columns(binder: BlockBinder, references: Sequence[Range]) -> Mapping[Range, Column]:
    """The references that mean a column of a call's rows. A call's own arguments see the items before it only."""
    found = {}
    for reference in references:
        inside = (i for i, c in enumerate(binder.row_calls) if within(reference, c.list))
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


def field_references(binder: BlockBinder, references: Sequence[Range]) -> list[Range]:
    """The references, of a field of a row's column (``u.part.name``) only what names the column."""
    return [_of_column(binder, reference) for reference in references]


def _of_column(binder: BlockBinder, reference: Range) -> Range:
    source, calls = binder.text.source(reference), binder.row_calls
    parts = _PART.findall(source)
    if not calls or len(parts) < 2 or row_column(source, calls) is not None:
        return reference
    if row_column(".".join(parts[:2]), calls) is not None:
        return Range(reference.lo, reference.lo + 3)
    own = row_column(parts[0], calls) is not None and binder.try_describe(source, binder.from_sql()) is None
    return Range(reference.lo, reference.lo + 1) if own else reference


def check_joined(binder: BlockBinder) -> None:
    """What is joined behind the items is joined before them.

    Raises
    ------
    NotLiftableError : it reads their rows, or the order of columns would be another.
    """
    text, joined = binder.text, binder.joined
    if not joined:
        return
    labels = {column.label.lower() for call in binder.row_calls for column in call.columns}
    using = (text.inside(i + 1) for i in text.top(joined) if text.word(i) == "USING" and text.word(i + 1) == "(")
    shared = any(name_of(text.source(part)) in labels for names in using for part in text.split(names))
    read = any(row_column(text.source(r), binder.row_calls) for r in binder.references_in(joined))
    if shared or read or _joined_in_where(binder):
        raise NotLiftableError("a table is joined with the rows of a call in FROM")
    if not binder.items or any(text.source(item.where) == "*" for item in binder.items):
        raise NotLiftableError("* stands above a join behind a call in FROM")


def _joined_in_where(binder: BlockBinder) -> bool:
    """Whether WHERE compares rows with what is joined behind them: before them, that would be a product of all with all."""
    before = binder.splice.render(binder.from_range)[0]
    where = binder.block.clause("WHERE")
    for conjunct in split_logical(binder.text, where, "AND") if where else ():
        sources = [binder.text.source(r) for r in binder.references_in(conjunct)]
        others = [s for s in sources if row_column(s, binder.row_calls) is None]
        if len(others) < len(sources) and any(binder.try_describe(s, before) is None for s in others):
            return True
    return False


def add_row_calls(binder: BlockBinder) -> None:
    """Ask each, and unnest its answers."""
    for call in binder.row_calls:
        shown = words(binder.text, call.unnest.whole if call.unnest else call.list)
        label = f"{shown} AS {call.alias}({', '.join(c.label for c in call.columns)})"
        kept, whole, ordinal = call.keep_empty, call.whole, call.ordinal
        unnest = Unnest(binder.plan, "", call.columns, kept, label, whole=whole, ordinal=ordinal)
        add_unnest(binder, call.list, unnest)


def add_unnest(binder: BlockBinder, where: Range, unnest: Unnest) -> None:
    """Ask the calls of a list, and unnest it so."""
    binder.add_calls(where)
    if answers(binder, where):
        name = binder.done[where.lo].name
    else:
        expr = binder.splice.expr(where)
        name = binder.names.fresh("a")
        column = Column(name, type_of(binder, expr), expr.label)
        binder.plan = Compute(binder.plan, (Computed(column, expr),))
    binder.plan = replace(unnest, input=binder.plan, column=name)
