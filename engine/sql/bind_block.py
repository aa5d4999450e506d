"""One SELECT block to a naive plan: Source, then calls and filters as written, then the user's own SELECT over them.

The plan is *naive* on purpose: conjuncts stand in the order of the text, every row is asked. Rules make it cheap, and the
naive plan is what their results are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count

import duckdb
from sqlglot import exp

from ..errors import BindError
from ..plan.nodes import (
    Call,
    Column,
    Compute,
    Computed,
    Expr,
    Filter,
    Input,
    Plan,
    Relation,
    SemanticCall,
    Source,
    SourceItem,
)
from ..plan.walk import columns
from ..types import needs_cast
from .bind_call import BoundCall, bind_call
from .catalog import Catalog
from .guards import Guard, split_logical, visit_calls
from .locate import LocatedCall, position
from .query import Block, subqueries
from .scope import Unliftable, is_star, lambda_calls, parse_ast, references
from .splice import Splice
from .tokens import Range, Text


def quote(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def stub(columns: tuple[Column, ...]) -> str:
    """An empty relation with these columns, for binding against."""
    return "SELECT " + ", ".join(f"NULL::{c.type} AS {quote(c.name)}" for c in columns) + " WHERE false"


@dataclass
class Names:
    """Fresh names for one statement."""

    counter: count[int] = field(default_factory=lambda: count(1))

    def fresh(self, kind: str) -> str:
        """``__c7`` and the like."""
        return f"__{kind}{next(self.counter)}"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a block stands in: the ``WITH`` entries before it, and the plans that take the place of inner queries."""

    ctes: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()

    def prelude(self) -> str:
        """``WITH …`` for running."""
        return f"WITH {', '.join(self.ctes)} " if self.ctes else ""

    def binding_prelude(self) -> str:
        """The same, with empty stand-ins for the inputs."""
        stubs = tuple(f"{i.name} AS ({stub(columns(i.plan))})" for i in self.inputs)
        entries = stubs + self.ctes
        return f"WITH {', '.join(entries)} " if entries else ""


@dataclass(frozen=True, slots=True)
class Item:
    """A select item: its tokens, its output name (``None`` for a star), whether the name is the user's own alias."""

    where: Range
    name: str | None
    aliased: bool
    core: Range


class BlockBinder:
    """Binds one block. Use :func:`bind_block`."""

    def __init__(
        self,
        text: Text,
        block: Block,
        located: list[LocatedCall],
        scope: Scope,
        catalog: Catalog,
        names: Names,
        splice: Splice,
    ) -> None:
        self.text, self.block, self.scope, self.catalog, self.names = text, block, scope, catalog, names
        self.splice = splice
        self.tree = parse_ast(text, block.whole)
        self.located = {c.whole.lo: c for c in located}
        self.starts = frozenset(self.located)
        if lambda_calls(text, block.whole, self.tree, self.starts):
            raise Unliftable("a call stands inside a lambda")
        self.bound = {start: bind_call(text, c, catalog) for start, c in self.located.items()}
        self.from_range = block.clause("FROM")
        self.items = self._items()
        self.aliases = {i.name.lower(): i for i in self.items if i.name and i.aliased}
        self.leaves: dict[str, Column] = {}
        self.done: dict[int, Column] = {}
        self.collected: dict[int, Column] = {}
        self.source_items: list[SourceItem] = []
        self.plan: Plan = Source("", "", ())

    # --- the pieces ---------------------------------------------------------------------------------------------

    def _items(self) -> list[Item]:
        clause = self.block.clause("SELECT")
        lo = clause.lo
        if self.text.word(lo) in ("DISTINCT", "ALL"):
            lo += 1
            if self.text.word(lo) == "ON":
                lo = self.text.partner[lo + 1] + 1
        ranges = [r for r in self.text.split(Range(lo, clause.hi)) if r]
        trees = self.tree.expressions
        if len(ranges) != len(trees):
            raise Unliftable("the select list cannot be matched with its parse")
        return [self._item(r, t) for r, t in zip(ranges, trees, strict=True)]

    def _item(self, where: Range, tree: exp.Expression) -> Item:
        if is_star(tree):
            return Item(where, None, False, where)
        if isinstance(tree, exp.Alias):
            return Item(where, tree.alias, True, self._without_alias(where))
        if isinstance(tree, exp.Column):
            return Item(where, tree.name, False, where)
        if where.lo in self.starts and self.located[where.lo].whole == where:
            return Item(where, self.text.word(where.lo).lower(), False, where)
        return Item(where, " ".join(self.text.source(where).split()), False, where)

    def _without_alias(self, where: Range) -> Range:
        if self.text.word(where.lo + 1) == ":":
            return Range(where.lo + 2, where.hi)
        return Range(where.lo, where.hi - (2 if self.text.word(where.hi - 2) == "AS" else 1))

    def calls_in(self, where: Range) -> list[int]:
        """Calls that start inside the range."""
        return [s for s in sorted(self.starts) if where.lo <= s < where.hi]

    # --- leaves: what the Source has to deliver ---------------------------------------------------------------

    def bind_source(self, regions: list[Range]) -> None:
        """Collect column references of the regions, have DuckDB bind them, and make the Source."""
        from_sql, _ = self.splice.render(self.from_range)
        wanted = self._references(regions)
        stars = [i for i in self.items if i.name is None and any(self._within(i.where, r) for r in regions)]
        if any(self.calls_in(i.where) for i in stars):
            raise Unliftable("a call stands inside a star expression")
        texts = list(dict.fromkeys([self._key(self.text.source(r)) for r in wanted] + self._template_names()))
        texts = [t for t in texts if self._binds(t, from_sql, wanted)]
        for key, (_, column_type) in zip(texts, self._describe(texts, from_sql), strict=False):
            self.leaves[key] = Column(self.names.fresh("c"), column_type, key)
            self.source_items.append(SourceItem(key, (self.leaves[key],)))
        for item in stars:
            self._bind_star(item, from_sql)
        if not self.source_items:
            self.source_items.append(SourceItem("1", (Column(self.names.fresh("c"), "INTEGER", "1"),)))
        self.plan = Source(self.scope.prelude(), from_sql, tuple(self.source_items), self.scope.inputs)
        for where in wanted:
            column = self.leaves.get(self._key(self.text.source(where)))
            if column is not None:
                self.splice.replace(where, column.name, frozenset({column.name}))

    def _bind_star(self, item: Item, from_sql: str) -> None:
        sql = self.text.source(item.where)
        columns = tuple(Column(self.names.fresh("c"), t, n) for n, t in self._describe([sql], from_sql))
        self.source_items.append(SourceItem(sql, columns))
        expanded = ", ".join(f"{c.name} AS {quote(c.label)}" for c in columns)
        self.splice.replace(item.where, expanded, frozenset(c.name for c in columns))

    def _references(self, regions: list[Range]) -> list[Range]:
        """Column references inside the regions; an operand that holds a subquery counts as one reference."""
        operands = [self._subquery_operand(s, r) for r in regions for s in subqueries(self.text, r)]
        plain = [
            r for r in references(self.text, self.block.whole, self.tree) if any(self._within(r, g) for g in regions)
        ]
        named = [o for c in self.located.values() for o in c.options.values()]
        plain = [r for r in plain if not any(self._within(r, o) for o in [*operands, *named])]
        stars = [i.where for i in self.items if i.name is None]
        found = [r for r in [*plain, *dict.fromkeys(operands)] if not any(self._within(r, s) for s in stars)]
        order = self.block.clause("ORDER BY")
        return [
            r for r in found if not (self._within(r, order) and self.text.source(r).strip('"').lower() in self.aliases)
        ]

    def _subquery_operand(self, inner: Range, region: Range) -> Range:
        """The smallest call-free operand around a subquery that can be computed by itself."""
        whole = Range(inner.lo - 1, inner.hi + 1)
        before = self.text.word(whole.lo - 1)
        if before == "EXISTS":
            return Range(whole.lo - 1, whole.hi)
        if before not in ("IN", "ANY", "ALL", "SOME"):
            return whole
        for clause in (self.block.clause("WHERE"), self.block.clause("HAVING"), region):
            for operand in split_logical(self.text, clause, "AND") if clause else []:
                if self._within(whole, operand) and not self.calls_in(operand):
                    item = next((i for i in self.items if i.where == operand), None)
                    return item.core if item else operand
        raise Unliftable("a subquery is compared with a call's answer")

    def _template_names(self) -> list[str]:
        return [self._key(t) for b in self.bound.values() for t in b.arguments.texts[len(b.located.arguments) :]]

    def _binds(self, key: str, from_sql: str, wanted: list[Range]) -> bool:
        """Whether a reference is a column of the FROM; if not it must be the alias of a select item."""
        try:
            self._describe([key], from_sql)
            return True
        except duckdb.Error as error:
            if key.strip('"').lower() in self.aliases:
                return False
            where = next((r for r in wanted if self._key(self.text.source(r)) == key), self.block.whole)
            raise BindError(duckdb_message(error), position(self.text, where), key) from None

    def try_describe(self, item: str, from_sql: str) -> str | None:
        """The name that DuckDB gives to a select item; ``None`` if it does not bind alone."""
        try:
            return self._describe([item], from_sql)[0][0]
        except duckdb.Error:
            return None

    def describe_block(self, sql: str) -> list[tuple[str, str]]:
        """Bind a fragment made of this block; what DuckDB dislikes is reported at the block's place."""
        try:
            return self.catalog.describe(sql)
        except duckdb.Error as error:
            raise BindError(duckdb_message(error), position(self.text, self.block.whole)) from None

    def plan_columns(self) -> tuple[Column, ...]:
        """Columns of the plan so far."""
        return columns(self.plan)

    def _describe(self, items: list[str], from_sql: str) -> list[tuple[str, str]]:
        source = f" FROM {from_sql}" if from_sql else ""
        return self.catalog.describe(f"{self.scope.binding_prelude()}SELECT {', '.join(items) or '1'}{source}")

    def _key(self, source: str) -> str:
        return source if '"' in source or "(" in source else source.lower()

    @staticmethod
    def _within(inner: Range, outer: Range) -> bool:
        return outer.lo <= inner.lo and inner.hi <= outer.hi

    # --- calls and filters --------------------------------------------------------------------------------------

    def add_calls(self, where: Range) -> None:
        """Plan the calls of an expression, inner ones and guards first, each once."""

        def visit(start: int, guards: tuple[Guard, ...]) -> None:
            if start not in self.done:
                self._add_call(self.bound[start], guards)

        visit_calls(self.text, where, self.starts, visit)

    def add_conjunct(self, where: Range) -> None:
        """One conjunct of a WHERE or HAVING: its calls, then the filter."""
        self.resolve_aliases(where)
        self.add_calls(where)
        self.plan = Filter(self.plan, self.splice.expr(where))

    def resolve_aliases(self, where: Range) -> None:
        """Put select items in the place of names that are theirs.

        ``WHERE s > 0.5`` may name a select item: its calls come first, its expression takes the name's place."""
        for reference in references(self.text, self.block.whole, self.tree):
            key = self._key(self.text.source(reference))
            item = self.aliases.get(key.strip('"').lower())
            if item is None or key in self.leaves or not self._within(reference, where):
                continue
            self.add_calls(item.core)
            expr = self.splice.expr(item.core)
            self.splice.replace(reference, f"({expr.sql})", expr.uses)

    def _add_call(self, bound: BoundCall, guards: tuple[Guard, ...]) -> None:
        located, function = bound.located, bound.located.function
        guard = self._guard(guards)
        names: list[str] = []
        types: list[str] = list(("VARCHAR",) * len(bound.arguments.constants))
        computed: list[Computed] = []
        available = {c.name: c for c in columns(self.plan)}
        for index in bound.dynamic:
            expr = self._argument(bound, index)
            column = available.get(expr.sql)
            if column is None:
                guarded = (
                    Expr(f"CASE WHEN {guard.name} THEN {expr.sql} END", expr.uses | {guard.name}, expr.label)
                    if guard
                    else expr
                )
                column = Column(self.names.fresh("a"), self._type(guarded), expr.label)
                computed.append(Computed(column, guarded))
            names.append(column.name)
            types[index] = column.type
        if computed:
            self.plan = Compute(self.plan, tuple(computed))
        output = Column(self.names.fresh("s"), bound.type.text, " ".join(self.text.source(located.whole).split()))
        call = SemanticCall(
            site=f"{len(self.done) + 1}:{function.sql_name}",
            function=function.sql_name,
            constants=bound.arguments.constants,
            arguments=tuple(names),
            argument_types=tuple(types),
            argument_texts=bound.arguments.texts,
            options=dict(bound.options),
            guard=guard.name if guard else None,
            output=output,
        )
        self.plan = Call(self.plan, call)
        self.done[located.whole.lo] = output
        sql = f"CAST({output.name} AS {output.type})" if needs_cast(bound.type) else output.name
        self.splice.replace(located.whole, sql, frozenset({output.name}))

    def _argument(self, bound: BoundCall, index: int) -> Expr:
        collected = self.collected.get(bound.located.whole.lo)
        if collected is not None and index == 0:
            return Expr(collected.name, frozenset({collected.name}), collected.label)
        if index < len(bound.located.arguments):
            return self.splice.expr(bound.located.arguments[index])
        column = self.leaves[self._key(bound.arguments.texts[index])]
        return Expr(column.name, frozenset({column.name}), column.label)

    def _guard(self, guards: tuple[Guard, ...]) -> Column | None:
        if not guards:
            return None
        parts: list[str] = []
        uses: frozenset[str] = frozenset()
        for guard in guards:
            self.resolve_aliases(guard.operand)
            expr = self.splice.expr(guard.operand)
            condition, uses = f"({expr.sql})", uses | expr.uses
            if guard.equals:
                equals = self.splice.expr(guard.equals)
                condition, uses = f"(({equals.sql}) = {condition})", uses | equals.uses
            parts.append(f"({condition} {guard.test})")
        label = " AND ".join(" ".join(self.text.source(g.operand).split()) + f" {g.test}" for g in guards)
        column = Column(self.names.fresh("g"), "BOOLEAN", label)
        self.plan = Compute(self.plan, (Computed(column, Expr(" AND ".join(parts), uses, label)),))
        return column

    def _type(self, expr: Expr) -> str:
        sql = f"SELECT {expr.sql} FROM ({stub(columns(self.plan))}) AS __in"
        try:
            return self.catalog.describe(f"{self.scope.binding_prelude()}{sql}")[0][1]
        except duckdb.Error as error:
            raise BindError(f"{duckdb_message(error)} (in {expr.label})", name=expr.label) from None

    def finish(self, sql: str, uses: frozenset[str], **flags: object) -> Relation:
        """The user's SELECT over the plan so far."""
        name = self.names.fresh("in")
        sql = sql.replace(_INPUT, name)
        binding = f"WITH {name} AS ({stub(columns(self.plan))}) "
        session = False
        try:
            described = self.catalog.describe(binding + sql, private=True)
        except duckdb.Error:
            session = True
            try:
                described = self.catalog.describe(_join_preludes(self.scope.binding_prelude(), binding) + sql)
            except duckdb.Error as error:
                raise BindError(duckdb_message(error), position(self.text, self.block.whole)) from None
        outputs = tuple(Column(n, t, n) for n, t in described)
        inputs = (Input(name, self.plan), *(self.scope.inputs if session else ()))
        sql = self.scope.prelude() + sql if session else sql
        relation = Relation(sql, inputs, outputs, uses=uses, session=session)
        return replace(relation, **flags)  # type: ignore[arg-type]


_INPUT = "«input»"


def input_marker() -> str:
    """What stands for the input's name in a text given to :meth:`BlockBinder.finish`."""
    return _INPUT


def _join_preludes(first: str, second: str) -> str:
    return f"{first.rstrip()}, {second.removeprefix('WITH ')}" if first else second


def duckdb_message(error: duckdb.Error) -> str:
    """DuckDB's message without its own picture of a statement that the user never wrote."""
    return str(error).split("\n\nLINE")[0].split("\nLINE")[0].strip()
