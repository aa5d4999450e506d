"""The only module that wires parse → bind → optimize → run."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa

from ..optimizer.context import Context
from ..optimizer.pipeline import optimize
from ..udfs.functions import functions
from ..udfs.models.base import Capabilities
from ..udfs.spec import SemanticFunction
from .dataflow.estimates import EstimatedNumber
from .dataflow.run import QueryRun
from .errors import BindError, ParseError, ProgrammingError
from .physical import retries, system_tables
from .physical.arm_costs import typical_price
from .physical.cascading.named import best_proxy
from .physical.cascading.vectors import vectors_of
from .physical.catalogue import Catalogue
from .physical.definitions import CatalogueDefinitions
from .physical.diagnose import bound_columns, diagnose, parse
from .physical.duck import Duck
from .physical.duck_secrets import DuckSecrets
from .physical.estimate_report import estimates_table
from .physical.estimates import Explained, explain
from .physical.execution import Execution
from .physical.learnt import Learnt, learnt
from .physical.model_pool import ModelPool
from .physical.plan_notes import frontier_table, has_plans, with_plans
from .physical.planned import Planned
from .physical.search_plans import Plans, plans_of
from .physical.stages import Stages
from .plan.nodes import Plan, SemanticCall
from .plan.walk import calls
from .settings import Settings
from .sql.bind import bind, definition
from .sql.catalog import Diagnosis
from .sql.definitions.define import creates
from .sql.dialects.rewrite import rewrite
from .sql.locate import mentions
from .sql.parameters import inline
from .sql.statements import (
    CatalogueStatement,
    CreateProxy,
    Explain,
    GiveFeedback,
    PreparedStatements,
    Profile,
    Retry,
    SecretStatement,
    ShowFrontier,
    names_catalogue,
    names_prepared,
    names_secret,
    parse_statement,
    with_table_functions,
)
from .sql.tokens import Text
from .store import Store, StoredPrompt, StoredQuery
from .store.proxies import StoredProxy

Parameters = Sequence[Any] | Mapping[str, Any] | None
AS_WRITTEN = {
    "llm_guarantee": None,
    "llm_min_quality": None,
    "llm_online_cascade": False,
    "llm_router": "none",
    "llm_on_error": "null",
}
"""Settings under which a call's own model answers it, or nobody."""
_LITERAL = re.compile(r"'([^']*)'")


class Session:
    """A DuckDB connection with everything semantic around it. It is the binder's catalogue, too.

    ``empty``: the database was made for this connection, and holds nothing yet.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, settings: Settings, store: Store, *, empty: bool = False
    ) -> None:
        self.duck = Duck(connection)
        self.definitions = CatalogueDefinitions(self.duck, empty=empty)
        self.settings = settings
        self.store = store
        self.models = ModelPool(store, settings, DuckSecrets(connection))
        self._catalogue = Catalogue(store, self.models, settings, self.duck)
        self._statements = PreparedStatements(self._asks, self._read, self._evaluated)
        self._versions: Mapping[str, int] = {}
        self._live: weakref.WeakSet[Execution] = weakref.WeakSet()
        self._aggregates: frozenset[str] = frozenset()
        self.lessons: list[Future[None]] = []
        self._last: Planned | None = None
        self._ran: tuple[str, list[EstimatedNumber]] = ("", [])

    # --- Catalog ------------------------------------------------------------------------------------------------

    @property
    def functions(self) -> Mapping[str, SemanticFunction]:
        """Semantic functions by every name."""
        return functions()

    @property
    def aggregates(self) -> frozenset[str]:
        """DuckDB's aggregate functions."""
        if not self._aggregates:
            self._aggregates = self.duck.aggregates()
        return self._aggregates

    def describe(self, sql: str, *, private: bool = False) -> list[tuple[str, str]]:
        """Names and types of a query's result."""
        if private and self.duck.names_redefined(sql):
            raise duckdb.BinderException("the text names a function that the user redefined")
        return self.duck.describe(sql, private=True) if private else bound_columns(self.duck, sql)

    def check(self, statement: str) -> None:
        """Bind a statement that is no query."""
        self.duck.execute(f"EXPLAIN {statement}")

    def diagnose(self, sql: str, error: duckdb.Error) -> Diagnosis:
        """What DuckDB has against a text that it rejected."""
        return diagnose(self.duck, sql, error)

    def constant(self, sql: str) -> Any:
        """The value of an expression without columns."""
        literal = _LITERAL.fullmatch(sql)  # most are, and DuckDB would take longer
        return literal[1] if literal else self.duck.value(f"SELECT {sql}")

    def prompts(self) -> Sequence[StoredPrompt]:
        """Every version of every prompt."""
        prompts, as_it_was = self.store.prompts.all(), self._versions
        return [replace(p, current=as_it_was[p.name] == p.version) if p.name in as_it_was else p for p in prompts]

    def proxies(self) -> Sequence[StoredProxy]:
        """Proxies that CREATE PROXY made."""
        return self.store.proxies.all()

    def capabilities(self, model: str) -> Capabilities:
        """What a model can do."""
        return self.models.capabilities(model)

    # --- statements ---------------------------------------------------------------------------------------------

    def prepare(
        self, sql: str, parameters: Parameters = None
    ) -> Planned | CatalogueStatement | CreateProxy | GiveFeedback | Explain | Profile | ShowFrontier | str:
        """What a statement is: a plan, a statement of ours, or text for DuckDB (perhaps with system tables put in).

        Raises
        ------
        ProgrammingError : with the place in the text.
        """
        if names_prepared(sql):
            text = self._text(sql)
            sql = self._statements.resolved(Text(inline(text, parameters, self._literal).sql) if parameters else text)
            parameters = None
        prepared = self._prepared(sql, parameters)
        if isinstance(prepared, str):
            self.definitions.observe(prepared)
        return prepared

    def _prepared(
        self, sql: str, parameters: Parameters
    ) -> Planned | CatalogueStatement | CreateProxy | GiveFeedback | Explain | Profile | ShowFrontier | str:
        if not parameters and names_secret(sql):
            return SecretStatement(sql)
        if not (names_catalogue(sql) or (self._asks(sql) and not names_secret(sql))):
            return sql
        text = self._text(sql)
        if parameters and (names_catalogue(sql) or text.word(0) == "CALL"):
            text = Text(inline(text, parameters, self._literal).sql)
        own = parse_statement(text, self.constant)
        if isinstance(own, Retry):
            return self._retried(own)
        if own is not None and not (isinstance(own, Explain) and not self._asks(own.query)):
            return own
        if not (parameters and self._asks(sql)):
            return self._planned(text)
        self._read(sql)
        inlined = inline(text, parameters, self._literal)
        try:
            return self._planned(Text(inlined.sql))
        except ProgrammingError as error:
            raise inlined.about_original(error) from None

    def _planned(self, text: Text) -> Planned | str:
        if (defined := self._defined(text)) is not None:
            return defined
        sql = with_table_functions(text, self._system_table) or text.sql
        planned = self.plan(sql)
        return sql if planned is None else replace(planned, written=text.sql)

    def _defined(self, text: Text) -> str | None:
        """``CREATE VIEW`` and ``CREATE MACRO`` that ask a model, as DuckDB keeps them."""
        if not (creates(text) and self._asks(text.sql)):
            return None
        self._read(text.sql)
        defined = definition(text, self)
        if defined is not None:
            self.definitions.changed()
        return defined

    def _retried(self, statement: Retry) -> Planned:
        for execution in list(self._live):  # one that is half read is not closed yet
            execution.keep()
        query = retries.find(self.store, statement)
        with self._as_it_was(query):
            planned = self._planned(Text(query.sql))
        assert isinstance(planned, Planned)  # it had semantic calls when it was kept
        return planned

    @contextmanager
    def _as_it_was(self, query: StoredQuery) -> Iterator[None]:
        """Bind with what decided the query's questions then; its answers are in the store, so the cache is on."""
        today, then = self.settings, dict(query.settings)
        self._versions = then.pop(retries.PROMPTS)
        self.settings = today.model_copy(update={**then, "llm_cache": True})
        try:
            yield
        finally:
            self.settings, self._versions = today, {}

    def plan(self, sql: str) -> Planned | None:
        """The optimized plan of a statement; ``None``: it has no semantic call."""
        self.duck.refresh()
        if self._asks(sql):
            self._read(sql)
        bound = bind(sql, self)
        if bound is None:
            return None
        candidates = self.models.candidates() if self._others_may_answer(bound.plan) else ()
        known = self._learnt(bound.plan)
        price = typical_price(self.models.find)
        context = Context(self.settings, self.capabilities, known, candidates, price, self._taught)
        optimized = optimize(bound.plan, context)
        self._last = Planned(sql, bound.plan, optimized, bound.embedded, notices=bound.notices, statistics=known)
        return self._last

    def _others_may_answer(self, plan: Plan) -> bool:
        """Whether models that the query does not name may answer its calls."""
        allowed = (self.settings.llm_min_quality, self.settings.llm_guarantee)
        return any(allowed) or any(node.call.cascade is not None for node in calls(plan))

    def _taught(self, call: SemanticCall) -> str | None:
        """The proxy of CREATE PROXY that may answer for a call, by what its test proves."""
        spec = self.models.find(str(call.options["model"]))
        return best_proxy(self.store, call, spec, vectors_of(self.models, self.settings))

    def _learnt(self, plan: Plan) -> Learnt:
        """What is known beforehand, the query that ended last included."""
        told = len(self.lessons)
        wait(self.lessons[:told])
        del self.lessons[:told]
        return learnt(self.duck, self.store, self.models.find, plan)

    def execute(self, planned: Planned) -> Execution:
        """A run of the plan, not yet started."""
        execution = Execution(planned, self.duck, self.store, self.settings, self.models, self.lessons)
        self._live.add(execution)
        self._ran = (execution.run.query_id, execution.run.estimates)
        return execution

    def explain(self, query: str) -> Explained:
        """The plan of a query, with estimates; nothing is asked of a model."""
        planned = self.plan(query)
        if planned is None:
            raise BindError("The query has no semantic call.")
        run = QueryRun(self.store, self.settings)
        explained = explain(self.duck, planned, Stages(run, self.models), self.models, None)
        return with_plans(explained, self.plans(planned, all_arms=False)) if has_plans(planned.plan) else explained

    def plans(self, planned: Planned | None = None, *, all_arms: bool = True) -> Plans:
        """The plans that a query has, by what is known now; the last one's if none is given. See :func:`plans_of`."""
        if (planned := planned or self._last) is None:
            raise BindError("No query with calls has been planned on this connection: SHOW FRONTIER FOR SELECT …")
        candidates = self.models.candidates() if all_arms else ()
        known, price = self._learnt(planned.naive), typical_price(self.models.find)
        context = Context(self.settings, self.capabilities, known, candidates, price)
        return plans_of(self.duck, planned.plan, context, QueryRun(self.store, self.settings), self.models)

    @contextmanager
    def as_written(self) -> Iterator[None]:
        """Plan and run with the models that queries name, and nobody in their place."""
        today = self.settings
        self.settings = today.model_copy(update=AS_WRITTEN)
        try:
            yield
        finally:
            self.settings = today

    def carry_out(self, statement: CatalogueStatement) -> pa.Table | None:
        """Run a statement of ours; SHOW gives a table."""
        return self._catalogue.carry_out(statement)

    def usage(self) -> pa.Table:
        """Calls, tokens and money per model and function, of all queries that the store remembers."""
        return self.store.query("usage")

    def close(self) -> None:
        """Close models, the store and private connections; the user's connection belongs to its owner."""
        self.models.close()
        self.duck.close()
        self.store.close()

    def _asks(self, sql: str) -> bool:
        """A quick look: may this ask a model?"""
        return mentions(sql, self.functions) or self.definitions.mentioned(sql)

    def _text(self, sql: str) -> Text:
        """The statement's tokens; where it cannot be read, DuckDB says why better than we can."""
        try:
            return Text(sql)
        except ParseError:
            if names_catalogue(sql):  # no excerpt: it may hold a key in the wrong place
                raise ParseError("A quote, a comment or a bracket in this statement is not closed.") from None
            parse(self.duck, sql)
            raise

    def _read(self, sql: str) -> None:
        """Have DuckDB read a statement. What only another system can read (``array('a', 'b')``) is read as it is rewritten."""
        try:
            parse(self.duck, sql)
        except duckdb.ParserException:
            try:
                spoken = rewrite(Text(sql), self)
            except ProgrammingError:
                return  # the binder says it, of the text with its parameters
            if spoken is None or not self._reads(spoken.sql):
                raise

    def _reads(self, sql: str) -> bool:
        try:
            parse(self.duck, sql)
            return True
        except duckdb.ParserException:
            return False

    def _system_table(self, name: str) -> str:
        match name:
            case "llm_frontier":
                table = frontier_table(self.plans())
            case "llm_estimates":
                table = estimates_table(*self._ran)
            case _:
                table = system_tables.table(name, self.store, self.models, self.settings)
        relation = f"__anser_{name}"
        self.duck.lend(relation, table)
        return relation

    def _literal(self, value: Any) -> str:
        return _quoted(value) if isinstance(value, str) else self._evaluated("?", [value])

    def _evaluated(self, expression: str, parameters: Sequence[Any] | None = None) -> str:
        """The value of an expression as SQL."""
        query = f"SELECT typeof(x), x::VARCHAR FROM (SELECT {expression} AS x)"
        kind, shown = self.duck.execute(query, parameters).fetchall()[0]
        if shown is None:
            return "NULL"
        if kind in ("INTEGER", "BIGINT"):
            return str(shown)
        return _quoted(shown) if kind == "VARCHAR" else f"CAST({_quoted(shown)} AS {kind})"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
