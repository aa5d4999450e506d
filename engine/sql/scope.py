"""Column references of a SELECT block: where they stand, and what DuckDB says they are."""

from __future__ import annotations

from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from .tokens import Range, Text


class Unliftable(Exception):
    """This block cannot be taken apart; its calls stay where they are (EMBEDDED). The message says why."""


def parse_ast(text: Text, block: Range) -> exp.Select:
    """sqlglot's tree of the block, for analysis only; offsets in it are relative to the block."""
    try:
        tree = sqlglot.parse_one(text.source(block), dialect="duckdb")
    except SqlglotError as error:
        raise Unliftable(f"sqlglot cannot parse the block: {str(error).splitlines()[0]}") from None
    if not isinstance(tree, exp.Select):
        raise Unliftable("not a plain SELECT")
    return tree


def references(text: Text, block: Range, tree: exp.Select) -> list[Range]:
    """Token ranges of the columns that belong to this block itself (not to its subqueries), stars left out."""
    base = text.span(block)[0]
    starts = {t.start: i for i, t in enumerate(text.tokens)}
    found = []
    for column in _own_columns(tree):
        places = [i.meta["start"] for i in column.find_all(exp.Identifier) if "start" in i.meta]
        if places:
            lo, hi = starts[base + min(places)], starts[base + max(places)]
            found.append(Range(lo, hi + 1))
    return sorted(found, key=lambda r: (r.lo, -r.hi))


def lambda_calls(text: Text, block: Range, tree: exp.Select, starts: frozenset[int]) -> bool:
    """Whether a call stands inside a lambda, where no row of ours reaches it."""
    base = text.span(block)[0]
    at = {text.tokens[s].start - base for s in starts}
    return any(
        node.meta.get("start") in at for found in tree.find_all(exp.Lambda) for node in found.walk() if node.meta
    )


def _own_columns(tree: exp.Select) -> Iterator[exp.Column]:
    for column in tree.find_all(exp.Column):
        if isinstance(column.this, exp.Star):
            continue
        inner = column.find_ancestor(exp.Select, exp.SetOperation)
        named = column.find_ancestor(exp.PropertyEQ, exp.Kwarg)
        if inner is tree and not (named is not None and named.this is column):
            yield column


def is_star(item: exp.Expression) -> bool:
    """Whether a select item yields several columns: ``*``, ``t.*``, ``COLUMNS(…)``."""
    core = item.unalias()
    if isinstance(core, exp.Star) or (isinstance(core, exp.Column) and isinstance(core.this, exp.Star)):
        return True
    return any(
        isinstance(n, exp.Columns) or (isinstance(n, exp.Anonymous) and n.name.upper() == "COLUMNS")
        for n in core.walk()
    )
