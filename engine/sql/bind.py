"""A statement to its naive plan: inner queries first, each lifted into an input of the text around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb

from ...udfs.spec import SemanticFunction
from ..errors import BindError, NotSupportedError, ProgrammingError
from ..plan.nodes import Column, Input, Relation
from .aggregate import bind_aggregate, is_aggregated
from .aliases import spelled_out
from .bind_block import BlockBinder
from .bind_call import BoundCalls, bind_call
from .catalog import Catalog
from .definitions.define import creates, define
from .definitions.expand import expand
from .dialects.rewrite import rewrite
from .dialects.rewritten import Rewritten
from .embed import embed
from .guarantee import embedded_notices
from .joins import lift_conditions
from .liftable import check_types
from .locate import locate, mentions
from .names import Names
from .query import Block, Cte, Query, parse_block, parse_query, subqueries
from .ranked import check_ranked, refuse_ranked
from .row_items import row_queries
from .scope import NotLiftableError, Scope, rejected
from .select import bind_select, check_counts
from .splice import Splice
from .stand_in import is_query, result_columns, statement_range
from .tokens import Range, Text


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound statement. ``embedded`` says why its calls could not be lifted ("" when they were); ``notices`` are for the user."""

    plan: Relation
    embedded: str = ""
    notices: tuple[str, ...] = ()


def bind(sql: str, catalog: Catalog) -> Bound | None:
    """The naive plan of a statement; ``None`` when it has no semantic call and is DuckDB's business verbatim.

    Raises
    ------
    ParseError, BindError : with the place in ``sql``.
    NotSupportedError : the definition of a view or macro, which has no plan.
    """
    functions: Mapping[str, SemanticFunction] = catalog.functions
    if not mentions(sql, functions) and not catalog.definitions.mentioned(sql):
        return None
    text = Text(sql)
    spoken = rewrite(text, catalog)
    if spoken is None:
        return _expanded(text, catalog)
    rewritten = Text(spoken.sql)
    with _about(spoken):
        bound = _expanded(rewritten, catalog) or Bound(_without_calls(rewritten, catalog))
    columns = tuple(replace(c, name=spoken.name(c.name)) for c in bound.plan.columns)
    return replace(bound, plan=replace(bound.plan, columns=columns), notices=(*spoken.notices, *bound.notices))


def definition(text: Text, catalog: Catalog) -> str | None:
    """What DuckDB is to carry out for a ``CREATE VIEW`` or ``CREATE MACRO`` that asks a model; ``None``: it is none.

    Raises
    ------
    BindError : with the place in the text. NotSupportedError : a view that reads itself.
    """
    spoken = rewrite(text, catalog)
    if spoken is None:
        return define(text, text, catalog)
    with _about(spoken):
        return define(text, Text(spoken.sql), catalog)


def _expanded(text: Text, catalog: Catalog) -> Bound | None:
    """The plan of a statement in our own words that may read views and macros with calls."""
    expanded = None if creates(text) else expand(text, catalog)
    if expanded is None:
        return _bind(text, catalog)
    names, complaint = _names(text, catalog)
    try:
        with _about(expanded):
            rewritten = Text(expanded.sql)
            bound = _bind(rewritten, catalog) or Bound(_without_calls(rewritten, catalog))
    except ProgrammingError:
        if complaint is not None:
            raise complaint from None
        raise
    plan = bound.plan
    if len(names) == len(plan.columns):
        plan = replace(plan, columns=tuple(replace(c, name=n) for c, n in zip(plan.columns, names, strict=True)))
    return replace(bound, plan=plan)


def _names(text: Text, catalog: Catalog) -> tuple[list[str], BindError | None]:
    """What DuckDB calls the result's columns, whose names come of the user's own words; or its complaint about these."""
    own = {c.whole.lo: bind_call(text, c, catalog) for c in locate(text, text.all(), catalog.functions)}
    try:
        return [column.name for column in result_columns(text, own, catalog)], None
    except BindError as error:  # perhaps only because the stand-in of a macro has no type yet
        known = {token.word.strip('"').lower() for token in text.tokens}
        return [], error if error.name and error.name.lower() in known else None


@contextmanager
def _about(rewritten: Rewritten) -> Iterator[None]:
    """Errors are about the text that was rewritten."""
    try:
        yield
    except ProgrammingError as error:
        raise rewritten.about_original(error) from None


def _bind(text: Text, catalog: Catalog) -> Bound | None:
    """The plan of a statement whose calls are all in our own words."""
    located = locate(text, text.all(), catalog.functions)
    if not located:
        return None
    if creates(text):
        raise NotSupportedError("The definition of a view or macro has no plan: EXPLAIN a query that reads it.")
    calls = {c.whole.lo: bind_call(text, c, catalog) for c in located}
    columns = result_columns(text, calls, catalog)
    try:
        plan = _agreed(StatementBinder(text, calls, catalog).bind(), columns)
        check_ranked(text, calls, plan)
        return Bound(plan)
    except NotLiftableError as reason:
        refuse_ranked(text, calls, str(reason))
        why = f"the calls of this statement stay in its text ({reason})"
        return Bound(_embedded(text, calls, columns, catalog), str(reason), embedded_notices(calls, why))


def _embedded(text: Text, calls: BoundCalls, columns: tuple[Column, ...], catalog: Catalog) -> Relation:
    """The statement with its calls in it, and with these wherever the name of a select item stands for one."""
    spelled = spelled_out(text, calls, catalog)
    if spelled is None:
        return embed(text, calls, columns, catalog.aggregates)
    whole = Text(spelled.render(text.all())[0])
    again = {c.whole.lo: bind_call(whole, c, catalog) for c in locate(whole, whole.all(), catalog.functions)}
    own = {text.tokens[start].start for start in calls}
    origins = {start: spelled.origin(text.all(), whole.tokens[start].start) for start in again}
    copies = frozenset(start for start, origin in origins.items() if origin not in own)
    return embed(whole, again, columns, catalog.aggregates, copies)


def _without_calls(text: Text, catalog: Catalog) -> Relation:
    """A statement that asks no model once it is rewritten (``LLM_RRF``): DuckDB's business, but not in the user's words."""
    whole = statement_range(text)
    columns = result_columns(text, {}, catalog)
    if not columns and is_query(text):
        columns = tuple(Column(n, t, n) for n, t in catalog.describe(text.source(whole)))
    return Relation(text.source(whole), (), columns, session=True)


def _agreed(plan: Relation, columns: tuple[Column, ...]) -> Relation:
    """The plan with DuckDB's names for its result. One that yields other types means something else than the statement."""
    ours, theirs = [c.type for c in plan.columns], [c.type for c in columns]
    if ours != theirs:
        raise NotLiftableError(f"its plan would yield {ours} instead of {theirs}")
    return replace(plan, columns=columns)


class StatementBinder:
    """Binds one statement."""

    def __init__(self, text: Text, calls: BoundCalls, catalog: Catalog) -> None:
        self.text, self.calls, self.catalog = text, calls, catalog
        self.names, self.splice = Names(), Splice(text)

    def bind(self) -> Relation:
        """The plan of the whole statement.

        Raises
        ------
        NotLiftableError : a call stands where no operator of ours can take it out.
        """
        whole = statement_range(self.text)
        where = self._query_range(whole)
        if where == whole:
            return self._query(parse_query(self.text, where), Scope())
        inner = self._lift(where, Scope())
        return Relation(self.splice.render(whole)[0], (inner,), (), session=True, label=self._label(whole, [where]))

    def _query_range(self, whole: Range) -> Range:
        """The query inside ``CREATE TABLE … AS``, ``INSERT INTO``, ``COPY (…)``; a plain query is all of the statement."""
        text = self.text
        first = text.word(0)
        if first in ("SELECT", "WITH", "FROM", "("):
            return whole
        tops = list(text.top(whole))
        start: int | None = None
        if first == "CREATE":
            start = next((i + 1 for i in tops if text.word(i) == "AS"), None)
        elif first == "INSERT":
            start = next((i for i in tops if text.word(i) in ("SELECT", "WITH", "FROM")), None)
        elif first == "COPY" and text.word(1) == "(":
            return text.inside(1)
        if start is None:
            raise NotLiftableError(f"calls in a {first} statement")
        ends = ("RETURNING", "ON CONFLICT") if first == "INSERT" else ()
        end = next((i for i in tops if i > start and text.word(i) in ends), whole.hi)
        found = Range(start, end)
        if not all(found.lo <= s < found.hi for s in self.calls):
            raise NotLiftableError(f"a call stands outside the query of a {first} statement")
        return found

    def _lift(self, where: Range, scope: Scope) -> Input:
        """Plan a query and put a read of its result in its place."""
        plan = self._query(parse_query(self.text, where), scope)
        check_types(plan.columns)
        lifted = Input(self.names.fresh("in"), plan)
        self.splice.replace(where, f"SELECT * FROM {lifted.name}")
        return lifted

    def _asks(self, where: Range) -> bool:
        return any(where.lo <= start < where.hi for start in self.calls)

    def _query(self, query: Query, scope: Scope) -> Relation:
        if query.recursive and any(self._asks(c.body) for c in query.ctes):
            raise NotLiftableError("a call stands in a recursive query")
        scope = replace(scope, recursive=scope.recursive or query.recursive)
        for cte in query.ctes:
            scope = self._with_cte(cte, scope)
        if len(query.branches) == 1:
            return self._block(query.branches[0], scope)
        lifted = [b for b in query.branches if self._asks(b)]
        if not all(any(b.lo <= s < b.hi for b in lifted) for s in self.calls if query.body.lo <= s < query.body.hi):
            raise NotLiftableError("a call stands in the ORDER BY or LIMIT of a set operation")
        for branch in lifted:
            scope = replace(scope, inputs=(*scope.inputs, self._lift(branch, scope)))
        return self._around(query.body, scope, lifted)

    def _with_cte(self, cte: Cte, scope: Scope) -> Scope:
        if self._asks(cte.body):
            scope = replace(scope, inputs=(*scope.inputs, self._lift(cte.body, scope)))
        return replace(scope, ctes=(*scope.ctes, self.splice.render(cte.whole)[0]))

    def _block(self, where: Range, scope: Scope) -> Relation:
        block = parse_block(self.text, where)
        if block is None:
            raise NotLiftableError("not a plain SELECT")
        unnested = row_queries(self.text, block.clause("FROM"), self.calls)
        inner = [s for s in subqueries(self.text, where) if self._asks(s) and s not in unnested]
        for subquery in inner:
            scope = replace(scope, inputs=(*scope.inputs, self._lift(subquery, scope)))
        own = {
            start: bound
            for start, bound in self.calls.items()
            if where.lo <= start < where.hi and not any(s.lo <= start < s.hi for s in inner)
        }
        return self._bind_block(block, own, scope) if own else self._around(where, scope, inner)

    def _bind_block(self, block: Block, own: BoundCalls, scope: Scope) -> Relation:
        binder = BlockBinder(self.text, block, own, scope, self.catalog, self.names, self.splice)
        check_counts(binder)
        conditions = lift_conditions(binder)
        return (bind_aggregate if is_aggregated(binder) else bind_select)(binder, conditions)

    def _around(self, where: Range, scope: Scope, inner: list[Range]) -> Relation:
        """Text without calls of its own over lifted inputs."""
        sql, _ = self.splice.render(where)
        try:
            described = self.catalog.describe(scope.binding_prelude() + sql)
        except duckdb.Error as error:
            raise rejected(error) from None
        columns = tuple(Column(n, t, n) for n, t in described)
        label = self._label(where, inner)
        return Relation(scope.prelude() + sql, scope.inputs, columns, session=True, label=label)

    def _label(self, where: Range, inner: list[Range]) -> str:
        """The user's words, without the inner queries that have a node of their own."""
        shown = Splice(self.text)
        for part in inner:
            shown.replace(part, "…")
        return " ".join(shown.render(where)[0].split())
