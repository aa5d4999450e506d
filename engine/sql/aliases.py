"""Names of select items that hold an embedded call, replaced by the items' text: DuckDB takes no name for what has side effects.

What is written twice is one look-up (:mod:`.embed`), and its second answer is the first one. Only for statements whose calls
stay in the text; where they are lifted, the binder puts the answer's column in the place of such a name.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from .bind_call import BoundCalls
from .catalog import Catalog
from .items import Item, select_items
from .keys import name_of, within
from .query import Block, Query, parse_block, parse_query, subqueries
from .scope import NotLiftableError, parse_ast, references
from .splice import Splice
from .stand_in import stand_in, statement_range
from .tokens import Range, Text

_READ = ("WHERE", "HAVING", "QUALIFY")
"""Clauses in which DuckDB refuses such a name; in GROUP BY and ORDER BY it takes one."""


def spelled_out(text: Text, calls: BoundCalls, catalog: Catalog) -> Splice | None:
    """The edits of a statement that put select items in the place of their names; ``None``: there are none."""
    spelling = _Spelling(text, calls, catalog)
    spelling.statement()
    return spelling.edits if spelling.changed else None


@dataclass(frozen=True, slots=True)
class _Around:
    """The ``WITH`` entries that a block sees."""

    entries: tuple[Range, ...] = ()
    recursive: bool = False

    def inside(self, query: Query) -> _Around:
        return _Around((*self.entries, *(cte.whole for cte in query.ctes)), self.recursive or query.recursive)


class _Spelling:
    def __init__(self, text: Text, calls: BoundCalls, catalog: Catalog) -> None:
        self.edits, self.changed = Splice(text), False
        self._text, self._calls, self._catalog = text, calls, catalog
        self._standing_in = Splice(text)
        for bound in calls.values():
            value = f"NULL::{bound.type.text}"
            stand_in(text, self._standing_in, bound.located, value, bound.arguments.texts)

    def statement(self) -> None:
        whole, text = statement_range(self._text), self._text
        start = next((i for i in text.top(whole) if text.word(i) in ("SELECT", "WITH", "FROM")), None)
        if start is not None:
            self._query(Range(start, whole.hi), _Around())
        for inner in subqueries(text, Range(whole.lo, whole.hi if start is None else start)):
            self._query(inner, _Around())

    def _query(self, where: Range, around: _Around) -> None:
        query = parse_query(self._text, where)
        around = around.inside(query)
        for inner in (*(c.body for c in query.ctes), *(s for b in query.branches for s in subqueries(self._text, b))):
            self._query(inner, around)
        for branch in query.branches:
            block = parse_block(self._text, branch) if self._asks(branch) else None
            if block is not None:
                self._block(block, around)

    def _asks(self, where: Range) -> bool:
        return any(where.lo <= start < where.hi for start in self._calls)

    def _block(self, block: Block, around: _Around) -> None:
        try:
            tree = parse_ast(self._text, block.whole)
            items = select_items(self._text, block, tree, self._calls)
        except NotLiftableError:
            return
        named = references(self._text, block.whole, tree)
        known: dict[str, Item] = {}
        for item in items:
            asks = self._put(known, [r for r in named if within(r, item.core)], block, around) or self._asks(item.core)
            if asks and item.aliased and item.name:
                known.setdefault(item.name.lower(), item)
        clauses = [block.clause(name) for name in _READ]
        self._put(known, [r for r in named if any(within(r, c) for c in clauses if c)], block, around)

    def _put(self, known: dict[str, Item], read: list[Range], block: Block, around: _Around) -> bool:
        """Put items in the place of their names; whether there was any."""
        found = [(r, item) for r in read if (item := known.get(name_of(self._text.source(r)))) is not None]
        meant = [(r, item) for r, item in found if not self._is_column(r, block, around)]
        for reference, item in meant:
            self.edits.replace(reference, f"({self.edits.render(item.core)[0]})")
            self.changed = True
        return bool(meant)

    def _is_column(self, reference: Range, block: Block, around: _Around) -> bool:
        """Whether the name is that of a column of FROM, which comes first; also if nobody knows."""
        read = self._standing_in.render
        entries = ", ".join(read(entry)[0] for entry in around.entries)
        prelude = f"WITH {'RECURSIVE ' if around.recursive else ''}{entries} " if entries else ""
        source = f" FROM {read(block.clause('FROM'))[0]}" if block.clause("FROM") else ""
        return self._binds(f"{prelude}SELECT {self._text.source(reference)}{source}") or not self._binds(
            f"{prelude}SELECT 1{source}"
        )

    def _binds(self, sql: str) -> bool:
        try:
            self._catalog.describe(sql)
            return True
        except duckdb.Error:
            return False
