"""Where aggregates stand in a block's text: DuckDB's and ours, those of its subqueries left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .locate import LocatedCall
from .query import subqueries
from .tokens import Range

if TYPE_CHECKING:
    from .bind_block import BlockBinder

_OF_GROUPS = frozenset({"GROUPING", "GROUPING_ID"})


def own_tokens(binder: BlockBinder, region: Range) -> Iterator[int]:
    """Token indices of a region outside its subqueries."""
    inner = subqueries(binder.text, region)
    index = region.lo
    while index < region.hi:
        skipped = next((s for s in inner if s.lo == index), None)
        if skipped is None:
            yield index
            index += 1
        else:
            index = skipped.hi


def aggregate_at(binder: BlockBinder, index: int) -> Range | None:
    """A call of a DuckDB aggregate (with its FILTER) that starts here and is no window function."""
    text, word = binder.text, binder.text.word(index)
    named = word in binder.catalog.aggregates or word in _OF_GROUPS
    if not named or text.word(index + 1) != "(" or text.tokens[index].quoted or text.word(index - 1) == ".":
        return None
    end = text.partner[index + 1] + 1
    if text.word(end) == "WITHIN" and text.word(end + 2) == "(":
        end = text.partner[end + 2] + 1
    if text.word(end) == "FILTER" and text.word(end + 1) == "(":
        end = text.partner[end + 1] + 1
    return None if text.word(end) == "OVER" else Range(index, end)


def semantic_aggregate(binder: BlockBinder, index: int) -> LocatedCall | None:
    """A semantic aggregate that starts here."""
    bound = binder.calls.get(index)
    return bound.located if bound is not None and bound.located.function.kind == "aggregate" else None


def aggregates_in(binder: BlockBinder, region: Range) -> bool:
    """Whether any aggregate stands in the region."""
    return any(
        aggregate_at(binder, i) is not None or semantic_aggregate(binder, i) is not None
        for i in own_tokens(binder, region)
    )


def aggregate_arguments(binder: BlockBinder, region: Range) -> list[Range]:
    """What stands in the parentheses of aggregates."""
    found = []
    for index in own_tokens(binder, region):
        aggregate, semantic = aggregate_at(binder, index), semantic_aggregate(binder, index)
        if aggregate is not None:
            found.append(Range(index + 1, aggregate.hi))
        elif semantic is not None:
            found.append(Range(index + 1, semantic.whole.hi))
    return found
