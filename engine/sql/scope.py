"""What a SELECT block stands in, and where its column references stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ..plan.nodes import Input
from ..plan.walk import columns
from .names import stub
from .tokens import Range, Text


class NotLiftableError(Exception):
    """This statement cannot be taken apart; its calls stay where they are (EMBEDDED). The message says why."""


def rejected(error: duckdb.Error) -> NotLiftableError:
    """DuckDB took the whole statement, but not a fragment of it."""
    return NotLiftableError(f"a part of it does not stand alone: {str(error).splitlines()[0]}")


@dataclass(frozen=True, slots=True)
class Scope:
    """The ``WITH`` entries before a block, and the plans that take the place of inner queries."""

    ctes: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    recursive: bool = False

    def prelude(self) -> str:
        """``WITH …`` for running."""
        return self._with(self.ctes)

    def binding_prelude(self, *more: str) -> str:
        """The same, with empty stand-ins for the inputs, and more entries."""
        return self._with((*(f"{i.name} AS ({stub(columns(i.plan))})" for i in self.inputs), *self.ctes, *more))

    def _with(self, entries: tuple[str, ...]) -> str:
        return f"WITH {'RECURSIVE ' if self.recursive else ''}{', '.join(entries)} " if entries else ""


def parse_ast(text: Text, block: Range) -> exp.Select:
    """sqlglot's tree of the block, for analysis only; offsets in it are relative to the block."""
    try:
        tree = _parsed(text.source(block))
    except SqlglotError as error:
        raise NotLiftableError(f"sqlglot cannot parse the block: {str(error).splitlines()[0]}") from None
    if not isinstance(tree, exp.Select):
        raise NotLiftableError("not a plain SELECT")
    return tree


@lru_cache(maxsize=16)
def _parsed(sql: str) -> exp.Expr:
    """A tree that nobody changes: each block of a statement is looked at more than once."""
    return sqlglot.parse_one(sql, dialect="duckdb")


def references(text: Text, block: Range, tree: exp.Select, queries: Sequence[Range] = ()) -> list[Range]:
    """Token ranges of the columns that belong to this block itself (not to its subqueries), stars left out.

    Parameters
    ----------
    queries : subqueries without a FROM, whose columns are this block's, too.
    """
    base = text.span(block)[0]
    starts = {t.start: i for i, t in enumerate(text.tokens)}
    found = []
    spans = [text.span(query) for query in queries if query]
    for column in _own_columns(tree, [(start - base, end - base) for start, end in spans]):
        places = [i.meta["start"] for i in column.find_all(exp.Identifier) if "start" in i.meta]
        if places:
            lo, hi = starts[base + min(places)], starts[base + max(places)]
            found.append(Range(lo, hi + 1))
    return sorted(found, key=lambda r: (r.lo, -r.hi))


def lambda_calls(text: Text, block: Range, tree: exp.Select, starts: frozenset[int]) -> bool:
    """Whether a call stands inside a lambda or list comprehension, where no row of ours reaches it."""
    base = text.span(block)[0]
    at = {text.tokens[s].start - base for s in starts}
    return any(
        node.meta.get("start") in at
        for found in tree.find_all(exp.Lambda, exp.Comprehension)
        for node in found.walk()
        if node.meta
    )


def _own_columns(tree: exp.Select, opened: Sequence[tuple[int, int]]) -> Iterator[exp.Column]:
    for column in tree.find_all(exp.Column):
        if isinstance(column.this, exp.Star) or _is_variable(column):
            continue
        inner = column.find_ancestor(exp.Select, exp.SetOperation)
        named = column.find_ancestor(exp.PropertyEQ, exp.Kwarg)
        own = inner is tree or any(start <= _start(column) < end for start, end in opened)
        if own and not (named is not None and named.this is column):
            yield column


def _start(column: exp.Column) -> int:
    """Where it begins, in characters; -1: it is none of the text's."""
    return min((i.meta["start"] for i in column.find_all(exp.Identifier) if "start" in i.meta), default=-1)


def _is_variable(column: exp.Column) -> bool:
    """Whether it is the x of ``[f(x) FOR x IN …]``."""
    node: exp.Expr = column
    while node.parent is not None:
        inside, node = node, node.parent
        bound = isinstance(node, exp.Comprehension) and inside is not node.args["iterator"]
        if bound and node.expression.name.lower() == column.parts[0].name.lower():
            return True
    return False


def is_star(item: exp.Expr) -> bool:
    """Whether a select item yields several columns: ``*``, ``t.*``, ``COLUMNS(…)``."""
    core = item.unalias()
    if isinstance(core, exp.Star) or (isinstance(core, exp.Column) and isinstance(core.this, exp.Star)):
        return True
    return any(
        isinstance(n, exp.Columns) or (isinstance(n, exp.Anonymous) and n.name.upper() == "COLUMNS")
        for n in core.walk()
    )
