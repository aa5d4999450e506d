"""The select list of a block: what its items are called, and which of them are stars."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from .bind_call import BoundCalls
from .query import Block
from .scope import NotLiftableError, is_star
from .splice import words
from .tokens import Range, Text


@dataclass(frozen=True, slots=True)
class Item:
    """A select item: its tokens, its output name (``None`` for a star), whether the name is the user's own alias."""

    where: Range
    name: str | None
    aliased: bool
    core: Range


def select_items(text: Text, block: Block, tree: exp.Select, calls: BoundCalls) -> list[Item]:
    """The items in their order; none for a FROM-first block without SELECT.

    Raises
    ------
    NotLiftableError : the list cannot be matched with sqlglot's.
    """
    clause = block.clause("SELECT")
    if not clause:
        return []
    ranges = [r for r in text.split(Range(after_distinct(text, clause), clause.hi)) if r]
    if len(ranges) != len(tree.expressions):
        raise NotLiftableError("the select list cannot be matched with its parse")
    return [_item(text, r, t, calls) for r, t in zip(ranges, tree.expressions, strict=True)]


def after_distinct(text: Text, clause: Range) -> int:
    """Where the select list begins: after DISTINCT, ALL or DISTINCT ON (…)."""
    lo = clause.lo
    if text.word(lo) in ("DISTINCT", "ALL"):
        lo += 1
        if text.word(lo) == "ON":
            lo = text.partner[lo + 1] + 1
    return lo


def unnests(text: Text, where: Range) -> bool:
    """Whether an item may yield several columns (of a struct), which have names of their own."""
    return any(text.word(i) == "UNNEST" for i in range(where.lo, where.hi))


def _item(text: Text, where: Range, tree: exp.Expr, calls: BoundCalls) -> Item:
    if is_star(tree):
        return Item(where, None, False, where)
    if isinstance(tree, exp.Alias):
        return Item(where, tree.alias, True, _without_alias(text, where))
    if isinstance(tree, exp.Column):
        return Item(where, tree.name, False, where)
    if where.lo in calls and calls[where.lo].located.whole == where:
        return Item(where, text.word(where.lo).lower(), False, where)
    return Item(where, words(text, where), False, where)


def _without_alias(text: Text, where: Range) -> Range:
    if text.word(where.lo + 1) == ":":
        return Range(where.lo + 2, where.hi)
    return Range(where.lo, where.hi - (2 if text.word(where.hi - 2) == "AS" else 1))
