"""PREFETCH, what the text decides: a query that shows embedded calls all that the statement will ask, and changes nothing.

It runs before any answer is known, so calls are NULL in it. That is right only where no answer can decide what is asked:
with one call in the text, or with several that stand beside each other at the top. ``docs/adr`` has the argument.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain

from ..plan.nodes import FirstRun
from .bind_call import BoundCalls
from .query import Query, parse_block, parse_query, subqueries
from .splice import Splice
from .stand_in import is_query, statement_range
from .tokens import NOTHING, Range, Text

ORDER_FREE = frozenset(("BIT_AND", "BIT_OR", "BIT_XOR", "BOOL_AND", "BOOL_OR", "COUNT", "COUNTIF", "COUNT_IF", "COUNT_STAR", "MAX", "MIN"))  # fmt: skip
"""Aggregates whose value does not depend on the order in which threads bring their rows."""

_ANOTHER_TIME = {
    "COLUMNS (": "COLUMNS(…) makes several calls of one",
    "DISTINCT ON": "DISTINCT ON may take another row",
    "OVER": "a window function may see its rows in another order",
    "PIVOT": "PIVOT runs its query twice",
    "POSITIONAL": "a positional join may see its rows in another order",
    "SAMPLE": "a sample is another one each time",
    "TABLESAMPLE": "a sample is another one each time",
    "UNPIVOT": "UNPIVOT makes several calls of one",
    "USING SAMPLE": "a sample is another one each time",
    **dict.fromkeys(("DELETE", "INSERT", "MERGE", "UPDATE"), "a part of it changes data"),
}
"""A word, or two, and what a second run may do about it."""
_FEEDS_BACK = frozenset(("ARRAY_REDUCE", "LIST_REDUCE", "REDUCE"))
_INDEPENDENT = frozenset(("SELECT", "FROM", "WHERE", "ORDER BY"))
_STEERS = "the answer of one call may decide what another is asked"


class _NoFirstRunError(Exception):
    """The message says why."""


def first_run(
    text: Text, calls: BoundCalls, splice: Splice, aggregates: Collection[str], copies: Collection[int] = ()
) -> FirstRun:
    """The query for a statement whose calls ``splice`` has replaced by look-ups; or why there is none.

    Parameters
    ----------
    aggregates : DuckDB's aggregate functions, upper case.
    copies : calls that repeat one of the same SELECT: they ask nothing that this one does not ask.
    """
    try:
        return FirstRun(_Finder(text, calls, splice, aggregates, len(copies)).sql())
    except _NoFirstRunError as refusal:
        return FirstRun("", str(refusal))


class _Finder:
    def __init__(self, text: Text, calls: BoundCalls, splice: Splice, aggregates: Collection[str], copied: int) -> None:
        self._copied = copied
        self._text, self._splice, self._aggregates = text, splice, aggregates
        self._calls = [bound.located for bound in calls.values()]
        self._sites = [located.whole for located in self._calls]
        self._order_by = NOTHING

    def sql(self) -> str:
        whole = statement_range(self._text)
        first = self._text.word(whole.lo)
        if first in ("UPDATE", "DELETE"):
            where = Range(whole.lo + 1, whole.hi)
            sql, items = self._changed_rows(whole, first)
        else:
            where = self._query(whole, first)
            sql, items = self._splice.render(where)[0], self._items(where)
        self._check_repeatable(where)
        if len(self._sites) - self._copied > 1:
            self._check_independent(items)
        return sql

    # --- the query ----------------------------------------------------------------------------------------------

    def _query(self, whole: Range, first: str) -> Range:
        """The query inside ``CREATE TABLE … AS``, ``INSERT INTO``, ``COPY (…)``; a plain query is all of the statement."""
        text = self._text
        if is_query(text):
            return self._holding(whole)
        tops = list(text.top(whole))
        if first == "COPY" and text.word(1) == "(":
            return self._holding(text.inside(1))
        starts = {"CREATE": ("AS",), "INSERT": ("SELECT", "WITH", "FROM", "VALUES")}.get(first, ())
        start = next((i for i in tops if text.word(i) in starts), None)
        if start is None:
            raise _NoFirstRunError(f"no query gives the inputs of this {first} statement")
        end = next((i for i in tops if i > start and text.word(i) in ("RETURNING", "ON CONFLICT")), whole.hi)
        return self._holding(Range(start + (first == "CREATE"), end))

    def _holding(self, where: Range) -> Range:
        if not all(_within(site, where) for site in self._sites):
            raise _NoFirstRunError("a call stands outside the statement's query")
        return where

    def _changed_rows(self, whole: Range, first: str) -> tuple[str, list[Range]]:
        """``UPDATE t SET c = x WHERE p`` reads what ``SELECT x, t.rowid FROM t WHERE p`` reads; DELETE likewise."""
        parts = self._parts(whole, first)
        table, values = parts["UPDATE" if first == "UPDATE" else "FROM"], self._assigned(parts.get("SET", NOTHING))
        others, condition = parts.get("FROM" if first == "UPDATE" else "USING"), parts.get("WHERE", NOTHING)
        if not all(any(_within(site, part) for part in (*values, condition)) for site in self._sites):
            raise _NoFirstRunError(f"a call stands neither in SET nor in WHERE of the {first} statement")
        items = [self._splice.render(v)[0] for v in values] + [
            f"{self._text.source(Range(table.hi - 1, table.hi))}.rowid"
        ]
        sql = f"SELECT {', '.join(items)} FROM {self._text.source(table)}"
        sql += f", {self._splice.render(others)[0]}" if others else ""
        return sql + (f" WHERE {self._splice.render(condition)[0]}" if condition else ""), values

    def _parts(self, whole: Range, first: str) -> dict[str, Range]:
        """What follows each keyword of an UPDATE or DELETE."""
        order = ("UPDATE", "SET", "FROM", "WHERE", "RETURNING") if first == "UPDATE" else ("DELETE", "FROM", "USING", "WHERE", "RETURNING")  # fmt: skip
        marks: list[int] = []
        for i in self._text.top(whole):
            word, last = self._text.word(i), self._text.word(marks[-1]) if marks else ""
            if word in order[order.index(last) + 1 if last else 0 :] and self._text.word(i - 1) != "DISTINCT":
                marks.append(i)
        ends = [*marks[1:], whole.hi]
        return {self._text.word(a): Range(a + 1, b) for a, b in zip(marks, ends, strict=True)}

    def _assigned(self, assignments: Range) -> list[Range]:
        values = []
        for part in self._text.split(assignments):
            if self._text.word(part.lo + 1) != "=":
                raise _NoFirstRunError("SET assigns more than a value to a column")
            values.append(Range(part.lo + 2, part.hi))
        return values

    # --- the same at another time -------------------------------------------------------------------------------

    def _check_repeatable(self, where: Range) -> None:
        """Refuse what may show the calls other inputs when it runs again, or makes several calls of one."""
        if any(located.function.kind == "aggregate" for located in self._calls):
            raise _NoFirstRunError("an aggregate's rows may come in another order")
        text = self._text
        for i in range(where.lo, where.hi):
            word, following = text.word(i), text.word(i + 1)
            reason = _ANOTHER_TIME.get(f"{word} {following}") or _ANOTHER_TIME.get(word)
            if reason:
                raise _NoFirstRunError(reason)
            if following == "(":
                self._check_function(word.strip('"').upper(), text.partner[i + 1], i)
        self._check_ctes(where)

    def _check_function(self, name: str, end: int, at: int) -> None:
        if name in _FEEDS_BACK:
            raise _NoFirstRunError(f"{name} feeds its answers back")
        if name != "ARRAY" and (name not in self._aggregates or name in ORDER_FREE):  # ARRAY(SELECT …) is one, too
            return
        if not any(at < site.lo and site.hi <= end for site in self._sites):
            raise _NoFirstRunError(f"the rows of {name.lower()} may come in another order")

    def _check_ctes(self, where: Range) -> None:
        """A CTE that is read twice may be two copies of its text, and then one call is several."""
        found = self._ctes(where)
        if not any(_within(site, cte) for _, cte in found for site in self._sites):
            return
        for name, cte in found:
            if sum(self._reads(i, name) for i in range(where.lo, where.hi) if i != cte.lo) > 1:
                raise _NoFirstRunError(f"{name} is read more than once")

    def _reads(self, index: int, name: str) -> bool:
        return self._text.word(index).strip('"').upper() == name and self._text.word(index + 1) != "."

    def _ctes(self, where: Range) -> list[tuple[str, Range]]:
        query = parse_query(self._text, where)
        own = [(cte.name.strip('"').upper(), cte.whole) for cte in query.ctes]
        inner = (*(cte.body for cte in query.ctes), *subqueries(self._text, query.body))
        return own + [cte for part in inner if part != where for cte in self._ctes(part)]

    # --- calls beside each other --------------------------------------------------------------------------------

    def _items(self, where: Range) -> list[Range]:
        """The items at the top of a query, where they are all evaluated for the same rows."""
        text = self._text
        if text.word(where.lo) == "VALUES":
            rows = text.split(Range(where.lo + 1, where.hi))
            return list(chain.from_iterable(text.split(text.unwrap(row)) for row in rows))
        query: Query = parse_query(text, where)
        block = parse_block(text, query.branches[0]) if len(query.branches) == 1 else None
        if block is None or not _INDEPENDENT.issuperset(block.clauses):
            return []
        self._order_by = block.clause("ORDER BY")
        return text.split(block.clause("SELECT"))

    def _check_independent(self, items: list[Range]) -> None:
        """Refuse calls that are not each in an item of its own, read by nobody else."""
        text = self._text
        holders = [item for item in items if any(_within(site, item) for site in self._sites)]
        if len(holders) != len(self._sites) or not all(any(_within(s, i) for i in holders) for s in self._sites):
            raise _NoFirstRunError(_STEERS)
        for item in holders:
            if subqueries(text, item) or any(text.word(i) == "UNNEST" for i in range(item.lo, item.hi)):
                raise _NoFirstRunError(_STEERS)
            self._check_unread(item)

    def _check_unread(self, item: Range) -> None:
        """An item that others read by its name may decide about them; ORDER BY reads it when all is asked."""
        prefixed = self._text.word(item.lo + 1) == ":"
        name = self._text.word(item.lo if prefixed else item.hi - 1).strip('"').upper()
        if not re.fullmatch(r"\w+", name) or name == "END":
            return
        named = [i for i, token in enumerate(self._text.tokens) if token.word.strip('"').upper() == name]
        if not all(_within(Range(i, i + 1), item) or _within(Range(i, i + 1), self._order_by) for i in named):
            raise _NoFirstRunError(_STEERS)


def _within(site: Range, where: Range) -> bool:
    return where.lo <= site.lo and site.hi <= where.hi
