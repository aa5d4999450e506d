"""One SELECT block to a naive plan: Source, then calls and filters as written, then the user's own SELECT over them.

The plan is *naive* on purpose: conjuncts stand in the order of the text, every row is asked. Rules make it cheap, and the
naive plan is what their results are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from ..plan.nodes import Column, Filter, Input, Plan, Relation, Source
from ..plan.walk import columns
from .bind_call import BoundCalls
from .catalog import Catalog
from .guards import Guard, visit_calls
from .items import Item, select_items
from .keys import key_of, name_of, within
from .liftable import check_collations, check_types, check_words
from .names import Names, stub
from .place_call import place_call
from .query import Block
from .row_calls import check_joined, field_references, with_columns, with_row_items
from .row_items import RowCall, cut_row_calls, joined_after
from .scope import NotLiftableError, Scope, lambda_calls, parse_ast, references, rejected
from .splice import Splice
from .tokens import Range, Text

INPUT = "«input»"
"""What stands for the rows' name in a :class:`Projection`."""


@dataclass(frozen=True, slots=True)
class Projection:
    """What stands above the rows: the SELECT list and what follows it, in the user's words but for plan columns.

    ``sql`` reads the rows under the name that ``INPUT`` stands for; ``uses`` are the plan columns in it; ``label`` is for
    EXPLAIN.
    """

    sql: str
    uses: frozenset[str]
    label: str


class BlockBinder:
    """Binds one block: the text it has, the columns found so far, the plan so far."""

    def __init__(
        self,
        text: Text,
        block: Block,
        calls: BoundCalls,
        scope: Scope,
        catalog: Catalog,
        names: Names,
        splice: Splice,
    ) -> None:
        self.text, self.block, self.scope, self.catalog, self.names = text, block, scope, catalog, names
        self.splice, self.calls = splice, calls
        self.starts = frozenset(calls)
        check_words(text, block)
        tree = parse_ast(text, block.whole)
        if lambda_calls(text, block.whole, tree, self.starts):
            raise NotLiftableError("a call stands inside a lambda")
        if any(bound.located.over for bound in calls.values()):
            raise NotLiftableError("an aggregate call is a window function")
        self.items = select_items(text, block, tree, calls)
        self.aliases = {i.name.lower(): i for i in self.items if i.name and i.aliased}
        self.row_calls: tuple[RowCall, ...] = ()
        before, self.joined = joined_after(text, block.clause("FROM"), calls)
        self.from_range, cut = cut_row_calls(text, before, calls)
        self.row_calls = with_columns(self, cut)
        queries = [call.unnest.query for call in cut if call.unnest]
        self.references = field_references(self, references(text, block.whole, tree, queries))
        check_joined(self)
        if self.row_calls and block.clause("USING SAMPLE"):
            raise NotLiftableError("a sample is taken of a call's rows")
        check_collations(text, self.from_sql(), scope, catalog)
        self.leaves: dict[str, Column] = {}
        self.grouped: frozenset[str] = frozenset()
        self.aggregated: tuple[Range, ...] = ()
        self.done: dict[int, Column] = {}
        self.covered: set[int] = set()
        self.collected: dict[int, Column] = {}
        self.implied_items: tuple[Column, ...] = ()
        self.plan: Plan = Source("", "", ())

    # --- the pieces ---------------------------------------------------------------------------------------------

    def from_sql(self) -> str:
        """FROM, with the sample that is taken of it; "" if there is none."""
        sample = self.splice.render(self.block.clause("USING SAMPLE"))[0]
        tables = " ".join(filter(None, (self.splice.render(part)[0] for part in (self.from_range, self.joined))))
        return tables + (f" USING SAMPLE {sample}" if sample else "")

    def whole_from_sql(self) -> str:
        """FROM with empty tables in the place of calls, for asking what names mean."""
        return with_row_items(self.row_calls, self.from_sql())

    def calls_in(self, where: Range) -> list[int]:
        """Calls that start inside the range."""
        return [s for s in sorted(self.starts) if where.lo <= s < where.hi]

    def alias(self, where: Range) -> Item | None:
        """The select item that a reference names, if it names one."""
        return self.aliases.get(name_of(self.text.source(where)))

    def references_in(self, where: Range) -> list[Range]:
        """Column references of the block inside a range."""
        return [r for r in self.references if within(r, where)]

    def plan_columns(self) -> tuple[Column, ...]:
        """Columns of the plan so far."""
        return columns(self.plan)

    # --- DuckDB's opinion ---------------------------------------------------------------------------------------

    def describe_items(self, items: list[str], from_sql: str) -> list[tuple[str, str]]:
        """Names and types of select items over a FROM. Raises ``duckdb.Error``."""
        source = f" FROM {from_sql}" if from_sql else ""
        return self.catalog.describe(f"{self.scope.binding_prelude()}SELECT {', '.join(items) or '1'}{source}")

    def try_describe(self, item: str, from_sql: str) -> str | None:
        """The name that DuckDB gives to a select item; ``None`` if it does not bind alone."""
        try:
            return self.describe_items([item], from_sql)[0][0]
        except duckdb.Error:
            return None

    def describe(self, sql: str) -> list[tuple[str, str]]:
        """Names and types of a fragment that stands in this block's scope.

        Raises
        ------
        NotLiftableError : it does not bind.
        """
        try:
            return self.catalog.describe(self.scope.binding_prelude() + sql)
        except duckdb.Error as error:
            raise rejected(error) from None

    # --- calls and filters --------------------------------------------------------------------------------------

    def add_calls(self, where: Range) -> None:
        """Plan the calls of an expression, inner ones and guards first, each once."""

        def visit(start: int, guards: tuple[Guard, ...]) -> None:
            if start not in self.done and start not in self.covered:
                place_call(self, self.calls[start], guards)

        visit_calls(self.text, where, self.starts, visit)

    def add_conjunct(self, where: Range) -> None:
        """One conjunct of a WHERE or HAVING: its calls, then the filter."""
        self.resolve_aliases(where)
        self.add_calls(where)
        self.plan = Filter(self.plan, self.splice.expr(where))

    def resolve_aliases(self, where: Range, inside: tuple[Item, ...] = ()) -> None:
        """Put select items in the place of names that are theirs.

        ``WHERE s > 0.5`` may name a select item: its calls come first, its expression takes the name's place. In the
        expression of ``x + 1 AS x``, which ``inside`` lists, x is the column.
        """
        for reference in self.references_in(where):
            item = self.alias(reference)
            if item is None or item in inside or self._is_column(reference):
                continue
            self.resolve_aliases(item.core, (*inside, item))
            self.add_calls(item.core)
            expr = self.splice.expr(item.core)
            self.splice.replace(reference, f"({expr.sql})", expr.uses)

    def _is_column(self, reference: Range) -> bool:
        """Whether a name of a select item means a column nevertheless: one of FROM, a group's, an aggregate's argument."""
        key = key_of(self.text.source(reference))
        grouped = key in self.grouped or any(within(reference, a) for a in self.aggregated)
        return key in self.leaves or (grouped and within(reference, self.block.clause("HAVING")))

    # --- the end ------------------------------------------------------------------------------------------------

    def finish(self, projection: Projection) -> Relation:
        """The user's SELECT over the plan so far: on a private connection if it stands alone, else on the user's."""
        check_types(columns(self.plan))
        name = self.names.fresh("in")
        sql = projection.sql.replace(INPUT, name)
        entry = f"{name} AS ({stub(columns(self.plan))})"
        try:
            described, session = self.catalog.describe(f"WITH {entry} {sql}", private=True), False
        except duckdb.Error:
            described, session = self._described_in_session(entry, sql), True
        outputs = tuple(Column(n, t, n) for n, t in described)
        inputs = (Input(name, self.plan), *(self.scope.inputs if session else ()))
        sql = self.scope.prelude() + sql if session else sql
        return Relation(sql, inputs, outputs, uses=projection.uses, session=session, label=projection.label)

    def _described_in_session(self, entry: str, sql: str) -> list[tuple[str, str]]:
        try:
            return self.catalog.describe(self.scope.binding_prelude(entry) + sql)
        except duckdb.Error as error:
            raise rejected(error) from None
