"""A statement to its naive plan: inner queries first, each lifted into an input of the text around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import duckdb

from ...udfs.spec import SemanticFunction
from ..errors import NotSupportedError
from ..plan.nodes import Column, Input, Relation, SemanticCall
from ..types import needs_cast
from .aggregate import bind_aggregate, collected, is_aggregated
from .bind_block import BlockBinder, Names, Scope
from .bind_call import bind_call
from .catalog import Catalog
from .joins import lift_conditions
from .locate import LocatedCall, locate, mentions
from .query import Block, Query, parse_block, parse_query, subqueries
from .scope import Unliftable
from .select import bind_select
from .splice import Splice
from .tokens import Range, Text


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound statement. ``embedded`` says why its calls could not be lifted ("" when they were)."""

    plan: Relation
    embedded: str = ""


def bind(sql: str, catalog: Catalog) -> Bound | None:
    """The naive plan of a statement; ``None`` when it has no semantic call and is DuckDB's business verbatim.

    Raises
    ------
    ParseError, BindError : with the place in ``sql``.
    NotSupportedError : a view or macro with a semantic call.
    """
    functions: Mapping[str, SemanticFunction] = catalog.functions
    if not mentions(sql, functions):
        return None
    text = Text(sql)
    located = locate(text, text.all(), functions)
    if not located:
        return None
    _refuse_definitions(text, located)
    try:
        return Bound(StatementBinder(text, located, catalog).bind())
    except Unliftable as reason:
        return Bound(_embedded(text, located, catalog), str(reason))


def _refuse_definitions(text: Text, located: list[LocatedCall]) -> None:
    words = [text.word(i) for i in range(min(6, len(text.tokens)))]
    if words[:1] == ["CREATE"] and {"VIEW", "MACRO", "FUNCTION"} & set(words):
        raise NotSupportedError(
            f"A view or macro cannot hold {located[0].function.sql_name}: every read would ask the model again. "
            "Store the answers with CREATE TABLE … AS SELECT …"
        )


class StatementBinder:
    """Binds one statement."""

    def __init__(self, text: Text, located: list[LocatedCall], catalog: Catalog) -> None:
        self.text, self.located, self.catalog = text, located, catalog
        self.names, self.splice = Names(), Splice(text)

    def bind(self) -> Relation:
        """The plan of the whole statement."""
        where = self._query_range()
        end = len(self.text.tokens)
        while end > where.lo and self.text.word(end - 1) == ";":
            end -= 1
        if where.lo == 0:
            return self._query(parse_query(self.text, Range(0, min(where.hi, end))), Scope())
        inner = self._lift(where, Scope())
        sql, _ = self.splice.render(Range(0, end))
        return Relation(sql, (inner,), (), session=True)

    def _query_range(self) -> Range:
        """The query inside ``CREATE TABLE … AS``, ``INSERT INTO``, ``COPY (…)``; a plain query is all of the statement."""
        text, everything = self.text, self.text.all()
        first = text.word(0)
        if first in ("SELECT", "WITH", "FROM", "("):
            return everything
        tops = list(text.top(everything))
        if first == "CREATE":
            start = next((i + 1 for i in tops if text.word(i) == "AS"), None)
        elif first == "INSERT":
            start = next((i for i in tops if text.word(i) in ("SELECT", "WITH", "FROM")), None)
        elif first == "COPY" and text.word(1) == "(":
            return text.inside(1)
        else:
            start = None
        if start is None:
            raise Unliftable(f"calls in a {first} statement")
        end = next((i for i in tops if i > start and text.word(i) in (";", "RETURNING", "ON CONFLICT")), everything.hi)
        return Range(start, end)

    def _lift(self, where: Range, scope: Scope) -> Input:
        """Plan a query and put a read of its result in its place."""
        plan = self._query(parse_query(self.text, where), scope)
        lifted = Input(self.names.fresh("in"), plan)
        self.splice.replace(where, f"SELECT * FROM {lifted.name}")
        return lifted

    def _asks(self, where: Range) -> bool:
        return any(where.lo <= c.whole.lo < where.hi for c in self.located)

    def _query(self, query: Query, scope: Scope) -> Relation:
        for cte in query.ctes:
            if self._asks(cte.body):
                if query.recursive:
                    raise Unliftable("a call stands in a recursive query")
                scope = replace(scope, inputs=(*scope.inputs, self._lift(cte.body, scope)))
            scope = replace(scope, ctes=(*scope.ctes, self.splice.render(cte.whole)[0]))
        if query.recursive and scope.ctes:
            scope = replace(scope, ctes=(f"RECURSIVE {scope.ctes[0]}", *scope.ctes[1:]))
        if len(query.branches) == 1:
            return self._block(query.branches[0], scope)
        for branch in query.branches:
            if self._asks(branch):
                scope = replace(scope, inputs=(*scope.inputs, self._lift(branch, scope)))
        return self._around(query.body, scope)

    def _block(self, where: Range, scope: Scope) -> Relation:
        block = parse_block(self.text, where)
        if block is None:
            raise Unliftable("not a plain SELECT")
        inner = [s for s in subqueries(self.text, where) if self._asks(s)]
        for subquery in inner:
            scope = replace(scope, inputs=(*scope.inputs, self._lift(subquery, scope)))
        own = [
            c
            for c in self.located
            if where.lo <= c.whole.lo < where.hi and not any(s.lo <= c.whole.lo < s.hi for s in inner)
        ]
        return self._bind_block(block, own, scope) if own else self._around(where, scope)

    def _bind_block(self, block: Block, own: list[LocatedCall], scope: Scope) -> Relation:
        binder = BlockBinder(self.text, block, own, scope, self.catalog, self.names, self.splice)
        conditions = lift_conditions(binder)
        return (bind_aggregate if is_aggregated(binder) else bind_select)(binder, conditions)

    def _around(self, where: Range, scope: Scope) -> Relation:
        """Text without calls of its own over lifted inputs."""
        sql, _ = self.splice.render(where)
        try:
            described = self.catalog.describe(scope.binding_prelude() + sql)
        except duckdb.Error as error:
            raise Unliftable(
                f"the text around inner queries does not bind alone: {str(error).splitlines()[0]}"
            ) from None
        columns = tuple(Column(n, t, n) for n, t in described)
        return Relation(scope.prelude() + sql, scope.inputs, columns, session=True)


def _embedded(text: Text, located: list[LocatedCall], catalog: Catalog) -> Relation:
    """The statement with every call turned into a look-up function of its own."""
    names, splice, calls = Names(), Splice(text), []
    for item in sorted(located, key=lambda c: -c.whole.lo):
        bound = bind_call(text, item, catalog)
        output = Column(names.fresh("s"), bound.type.text, " ".join(text.source(item.whole).split()))
        texts = [splice.render(a)[0] for a in item.arguments] + list(bound.arguments.texts[len(item.arguments) :])
        dynamic = [texts[i] for i in bound.dynamic]
        if item.function.kind == "aggregate":
            dynamic[0] = collected(splice, item)
        look_up = f"__anser_{output.name}({', '.join(dynamic) or '0'})"
        splice.replace(item.whole, f"CAST({look_up} AS {output.type})" if needs_cast(bound.type) else look_up)
        calls.append(
            SemanticCall(
                site=f"{len(located) - len(calls)}:{item.function.sql_name}",
                function=item.function.sql_name,
                constants=bound.arguments.constants,
                arguments=tuple(f"a{i}" for i in bound.dynamic),
                argument_types=tuple(t.text for t in bound.arguments.types),
                argument_texts=bound.arguments.texts,
                options=dict(bound.options),
                guard=None,
                output=output,
            )
        )
    return Relation(splice.render(text.all())[0], (), (), embedded=tuple(calls[::-1]), session=True)
