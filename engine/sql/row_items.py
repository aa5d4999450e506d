"""Items of FROM that make many rows of one by a call, as they are written, cut off the end of the FROM.

Only those at the end can be, because what stands behind one may read its columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..plan.nodes import Column
from .bind_call import BoundCalls
from .join_words import join_end
from .laterals import RowItem, item_name, row_item
from .tokens import NOTHING, Range, Text
from .unnests import ListItem, list_item

_ORDERED = frozenset({"RIGHT", "FULL", "SEMI", "ANTI", "ASOF", "NATURAL", "POSITIONAL", "LATERAL", "TABLESAMPLE"})


@dataclass(frozen=True, slots=True)
class RowCall:
    """A call in FROM, or a list with calls that is unnested there.

    Parameters
    ----------
    list : the call, or the expression. alias : what its rows are called. item : what the user calls them.
    keep_empty : a row without rows stays (LEFT JOIN). condition : what follows ON, of an inner join.
    unnest : how it is unnested; ``None``: it is a call that gives rows.
    columns : the rows', labelled with their names.
    """

    list: Range
    alias: str
    item: RowItem
    keep_empty: bool = False
    condition: Range = NOTHING
    unnest: ListItem | None = None
    columns: tuple[Column, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether an element is one column."""
        return self.unnest is not None and not self.unnest.fields

    @property
    def ordinal(self) -> Literal["field", "counted", "none"]:
        """Which number of the element its last column is."""
        if self.unnest is None:
            return "field"
        return "counted" if self.unnest.ordinality else "none"


def cut_row_calls(text: Text, where: Range, calls: BoundCalls) -> tuple[Range, tuple[RowCall, ...]]:
    """The FROM without the items with calls at its end, and these in their order, their columns not known yet."""
    taken: list[tuple[Range, RowCall]] = []
    while where and (found := _last(text, where, calls)) is not None:
        taken.append((where, found[1]))
        where = found[0]
    # What asks nothing may stay where it is, unless it may read the rows of one that asks.
    while taken and not any(_asks(calls, taken[-1][1].list)):
        where = taken.pop()[0]
    return where, tuple(call for _, call in taken[::-1])


def joined_after(text: Text, where: Range, calls: BoundCalls) -> tuple[Range, Range]:
    """The FROM up to its last item with a call, and joins of plain tables behind it, which may as well stand before it.

    The second is empty where there are none, or some for which the order of joins matters.
    """
    if cut_row_calls(text, where, calls)[1]:
        return where, NOTHING
    tops = list(text.top(where))
    ends = [
        join_end(text, tops, call.item.end, where.hi) if text.word(call.item.end) == "ON" else call.item.end
        for mark in (i for i in tops if text.word(i) in (",", "JOIN"))
        if (call := _row_call(text, mark + 1 + (text.word(mark + 1) == "LATERAL"), calls)) and _asks(calls, call.list)
    ]
    behind = Range(max(ends, default=where.hi), where.hi)
    before = Range(where.lo, behind.lo)
    if not behind or _asks(calls, behind) or any(text.word(i) in _ORDERED for i in text.top(behind)):
        return where, NOTHING
    rest = cut_row_calls(text, before, calls)[0]
    # A JOIN binds closer than a comma.
    commas = text.word(behind.lo) != "," and any(text.word(i) == "," for i in text.top(rest))
    return (where, NOTHING) if commas or not rest or rest == before else (before, behind)


def row_queries(text: Text, where: Range, calls: BoundCalls) -> list[Range]:
    """The queries in a FROM that are only there to unnest a list, which are no blocks of their own."""
    before, _ = joined_after(text, where, calls)
    return [call.unnest.query for call in cut_row_calls(text, before, calls)[1] if call.unnest and call.unnest.query]


def _asks(calls: BoundCalls, where: Range) -> list[int]:
    return [start for start in calls if where.lo <= start < where.hi]


def _last(text: Text, where: Range, calls: BoundCalls) -> tuple[Range, RowCall] | None:
    mark = max((i for i in text.top(where) if text.word(i) in (",", "JOIN")), default=where.lo - 1)
    start = mark + 1 + (text.word(mark + 1) == "LATERAL")
    call = _row_call(text, start, calls)
    if call is None:
        return None
    join = _join(text, mark) if mark >= where.lo else ("CROSS", where.lo)
    condition = _condition(text, call.item, where) if join else None
    if join is None or condition is None or bool(condition) == (join[0] == "CROSS"):
        return None
    true = text.word(condition.lo) == "TRUE" and condition.hi - condition.lo == 1
    if join[0] == "LEFT" and not true:
        return None
    call = replace(call, keep_empty=join[0] == "LEFT", condition=NOTHING if true else condition)
    return Range(where.lo, join[1]), call


def _row_call(text: Text, start: int, calls: BoundCalls) -> RowCall | None:
    """The call in FROM, or the unnested list, that begins here."""
    if start in calls and calls[start].located.in_from:
        whole = calls[start].located.whole
        item = row_item(text, whole)
        return RowCall(whole, item_name(text, start, item), item)
    found = list_item(text, start)
    if found is None or any(calls[c].located.function.kind != "scalar" for c in _asks(calls, found.list)):
        return None
    item = row_item(text, found.whole)
    if not found.query:
        return RowCall(found.list, item.alias or "unnest", item, unnest=found)
    named = item.columns or found.name or found.fields
    return RowCall(found.list, item.alias or "unnamed_subquery", item, unnest=found) if named else None


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
