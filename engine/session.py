"""The only module that wires parse → bind → optimize → run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from ..optimizer.context import Context
from ..optimizer.pipeline import Optimized, optimize
from ..udfs.functions import functions
from ..udfs.models.base import Capabilities, ModelSpec
from ..udfs.spec import SemanticFunction
from .dataflow.run import QueryRun
from .errors import BindError, OperationalError, ParseError, ProgrammingError
from .physical import system_tables
from .physical.diagnose import bound_columns, diagnose, parse
from .physical.duck import Duck, Spool
from .physical.estimates import Explained, explain
from .physical.execute import Executor
from .physical.model_pool import ModelPool
from .physical.stages import Stages
from .plan.nodes import Relation
from .settings import Settings
from .sql.bind import bind
from .sql.catalog import Diagnosis
from .sql.locate import mentions
from .sql.parameters import inline
from .sql.stand_in import is_query
from .sql.statements import (
    CreateModel,
    DropModel,
    Explain,
    SetSetting,
    ShowModels,
    Statement,
    parse_statement,
    with_table_functions,
)
from .sql.tokens import Text
from .store import Store

Parameters = Sequence[Any] | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Planned:
    """A semantic statement, optimized. ``embedded`` says why its calls stay in the text ("" when they do not)."""

    sql: str
    naive: Relation
    optimized: Optimized
    embedded: str

    @property
    def plan(self) -> Relation:
        """The plan to run."""
        plan = self.optimized.plan
        assert isinstance(plan, Relation)
        return plan

    @property
    def returns_rows(self) -> bool:
        """Whether it is a query."""
        return bool(self.plan.columns) or (bool(self.plan.embedded) and is_query(Text(self.sql)))


class Execution:
    """One run of a planned statement. ``open`` and ``close`` block; call them from one thread at a time."""

    def __init__(self, session: Session, planned: Planned) -> None:
        self.planned = planned
        self.run = QueryRun(session.store, session.settings)
        self.stages = Stages(self.run, session.models)
        self._executor = Executor(session.duck, self.run, self.stages)
        self._session = session

    def open(self) -> Spool:
        """Start, and give the reader of the result."""
        return self._executor.read(self.planned.plan)

    def interrupt(self, reason: BaseException) -> None:
        """Stop: calls under way are cancelled; what they had brought is kept."""
        self.run.cancel(reason)
        self._session.duck.interrupt()
        self._executor.interrupt()

    def close(self) -> None:
        """End the run and give back what it held."""
        try:
            self._executor.close()
        finally:
            self.run.finish()

    def explain(self, *, ran: bool = True) -> Explained:
        """The plan with the figures of this run, or, if it has not ``ran`` yet, with estimates alone."""
        progress = self.run.progress if ran else None
        return explain(self._session.duck, self.planned, self.stages, self._session.models, progress)


class Session:
    """A DuckDB connection with everything semantic around it. It is the binder's catalogue, too."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, settings: Settings, store: Store) -> None:
        self.duck = Duck(connection)
        self.settings = settings
        self.store = store
        self.models = ModelPool(store, settings)
        self._aggregates: frozenset[str] = frozenset()

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
        return self.duck.value(f"SELECT {sql}")

    def capabilities(self, model: str) -> Capabilities:
        """What a model can do."""
        return self.models.capabilities(model)

    # --- statements ---------------------------------------------------------------------------------------------

    def prepare(self, sql: str, parameters: Parameters = None) -> Planned | Statement | str:
        """What a statement is: a plan, a statement of ours, or text for DuckDB (perhaps with system tables put in).

        Raises
        ------
        ProgrammingError : with the place in the text.
        """
        if not _ours(sql, self.functions):
            return sql
        text = self._text(sql)
        own = parse_statement(text, self.constant)
        if own is not None and not (isinstance(own, Explain) and not mentions(own.query, self.functions)):
            return own
        if not (parameters and mentions(sql, self.functions)):
            return self._planned(text)
        parse(self.duck, sql)
        inlined = inline(text, parameters, self._literal)
        try:
            return self._planned(Text(inlined.sql))
        except ProgrammingError as error:
            raise inlined.about_original(error) from None

    def _planned(self, text: Text) -> Planned | str:
        sql = with_table_functions(text, self._system_table) or text.sql
        return self.plan(sql) or sql

    def plan(self, sql: str) -> Planned | None:
        """The optimized plan of a statement; ``None``: it has no semantic call."""
        self.duck.refresh()
        if mentions(sql, self.functions):
            parse(self.duck, sql)
        bound = bind(sql, self)
        if bound is None:
            return None
        context = Context(settings=self.settings, capabilities=self.capabilities)
        return Planned(sql, bound.plan, optimize(bound.plan, context), bound.embedded)

    def execute(self, planned: Planned) -> Execution:
        """A run of the plan, not yet started."""
        return Execution(self, planned)

    def explain(self, query: str) -> Explained:
        """The plan of a query, with estimates; nothing is asked of a model."""
        planned = self.plan(query)
        if planned is None:
            raise BindError("The query has no semantic call.")
        run = QueryRun(self.store, self.settings)
        return explain(self.duck, planned, Stages(run, self.models), self.models, None)

    def carry_out(self, statement: SetSetting | CreateModel | DropModel | ShowModels) -> pa.Table | None:
        """Run a statement of ours; SHOW gives a table."""
        match statement:
            case SetSetting():
                self.settings.assign(statement.name, statement.value)
            case CreateModel():
                self._create_model(statement)
            case DropModel():
                if not self.models.drop(statement.name) and not statement.if_exists:
                    self._cannot_drop(statement.name)
            case ShowModels():
                return system_tables.models(self.models)
        return None

    def usage(self) -> pa.Table:
        """Calls, tokens and money per model and function, of all queries that the store remembers."""
        return self.store.query("usage")

    def close(self) -> None:
        """Close models, the store and private connections; the user's connection belongs to its owner."""
        self.models.close()
        self.duck.close()
        self.store.close()

    def _text(self, sql: str) -> Text:
        """The statement's tokens; where it cannot be read, DuckDB says why better than we can."""
        try:
            return Text(sql)
        except ParseError:
            parse(self.duck, sql)
            raise

    def _create_model(self, statement: CreateModel) -> None:
        stored = {m.name.lower() for m in self.store.models()}
        if statement.if_not_exists and statement.name.lower() in stored:
            return
        spec = ModelSpec(statement.name, statement.provider, statement.options)
        self.models.create(spec, replace=statement.replace)

    def _cannot_drop(self, name: str) -> None:
        spec = self.models.find(name)
        raise OperationalError(f"{spec.name} is built in and cannot be dropped; CREATE MODEL {spec.name} (…) hides it.")

    def _system_table(self, name: str) -> str:
        table = system_tables.table(name, self.store, self.models, self.settings)
        relation = f"__anser_{name}"
        self.duck.lend(relation, table)
        return relation

    def _literal(self, value: Any) -> str:
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        kind, shown = self.duck.execute("SELECT typeof(x), x::VARCHAR FROM (SELECT ? AS x)", [value]).fetchall()[0]
        if shown is None:
            return "NULL"
        if kind in ("INTEGER", "BIGINT"):
            return str(shown)
        return f"CAST('{str(shown).replace(chr(39), chr(39) * 2)}' AS {kind})"


def _ours(sql: str, known: Mapping[str, SemanticFunction]) -> bool:
    """A quick look: may this be anything but plain SQL?"""
    head = " ".join(sql.split(None, 6)[:6]).upper()
    return mentions(sql, known) or " MODEL" in head
