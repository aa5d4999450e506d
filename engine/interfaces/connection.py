"""``anserdb.connect()``: one object for Python users and for DB-API users."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from ...udfs.models.base import Model
from .. import errors
from ..dataflow.progress_events import Watcher
from ..errors import InterfaceError
from ..physical.duck import Duck
from ..physical.planned import Planned
from ..physical.python_names import variables_of_caller
from ..physical.spool import RowSpool
from ..physical.stopping import check
from ..session import Parameters, Session
from ..settings import Settings
from ..sql.statements import CreateProxy, Explain, GiveFeedback, Profile, ShowFrontier, split_statements
from ..store import Store
from . import explaining, feedback, proxies
from .at_exit import close_at_exit
from .confirming import Confirm, confirm
from .dbapi import Cursor
from .executed import Executed, Fetchable, can_stream, only_changes
from .native_kinds import has_rows, is_lazy
from .reading import Listener, Reading
from .result import NativeResult, Result, TextResult, plain_wait
from .semantic_result import SemanticResult, stands
from .store_place import StorePlace, store_place
from .streaming import Streaming
from .translate import translate, translated
from .waiting import Waiting
from .watchers import Watchers

N = TypeVar("N")
Native = Callable[[Duck, str, Parameters, dict[str, Any]], N | None]
"""What becomes of plain SQL: (connection, statement, parameters, the caller's variables)."""


def connect(
    database: str | os.PathLike[str] | duckdb.DuckDBPyConnection = ":memory:",
    *,
    store: StorePlace = None,
    read_only: bool = False,
    **settings: Any,
) -> Connection:
    """Open a database, or put semantic functions on a DuckDB connection that is open already.

    Parameters
    ----------
    database : path of a DuckDB file, ``":memory:"``, or a DuckDB connection (which stays yours: closing this one leaves it).
    store : path of the store of answers and call records; beside the database by default; ``":memory:"`` keeps nothing.
    read_only : open the database file read-only.
    settings : any ``llm_…`` setting.

    Raises
    ------
    OperationalError : the file cannot be opened. BindError : an unknown setting.

    >>> con = connect(store=":memory:", llm_model="scripted")
    >>> con.sql("SELECT 1 AS one").fetchall()
    [(1,)]
    >>> con.close()
    """
    chosen = Settings()
    for name, value in settings.items():
        chosen.assign(name, value)
    with translated():
        if isinstance(database, duckdb.DuckDBPyConnection):
            return Connection(database, Store.open(store_place(store, database)), chosen, owned=False)
        native = duckdb.connect(os.fspath(database), read_only=read_only)
        try:
            native.execute("SET enable_progress_bar = false")  # it is drawn into pipes, too, amid the data
            empty = os.fspath(database) == ":memory:"
            return Connection(native, Store.open(store_place(store, database)), chosen, owned=True, empty=empty)
        except BaseException:
            native.close()
            raise


class Connection(Streaming):
    """A database with semantic SQL (PEP 249's Connection, and more).

    One statement runs at a time; several threads take turns. ``progress_listener`` is called about ten times a second with
    the running query's figures, from the thread that waits for it. ``confirm``, given the estimate of a query above
    ``llm_confirm_usd``, says whether it runs; without one it is refused. While ``sees_variables``, statements find the
    caller's data frames by the names of their variables.
    """

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    def __init__(
        self, native: duckdb.DuckDBPyConnection, store: Store, settings: Settings, *, owned: bool, empty: bool = False
    ) -> None:
        self._native, self._owned = native, owned
        self._session: Session | None = Session(native, settings, store, empty=empty)
        self._lock = threading.RLock()
        self._waiting = Waiting()
        self._readings: weakref.WeakSet[Reading] = weakref.WeakSet()
        self.progress_listener: Listener | None = None
        self.sees_variables = True
        self.confirm: Confirm | None = None
        self._watchers = Watchers()
        close_at_exit(self)

    # --- queries ------------------------------------------------------------------------------------------------

    def sql(self, query: str, params: Parameters = None) -> Result | None:
        """Run SQL; of several statements the last one's result is returned.

        Parameters
        ----------
        query : statements; those with semantic functions run here, all others in DuckDB, verbatim.
        params : values for ``?``, ``$1`` or ``$name`` (of a single statement).

        Returns
        -------
        A result that runs when it is read. A statement that changes something has run; its result is what DuckDB gives
        for it (``Count``), and ``None`` for a statement of ours without rows.

        Raises
        ------
        ProgrammingError : with the place in the text.
        """
        return self._run(query, params, self._native_result)

    def fetchable(self, query: str, params: Parameters = None) -> Fetchable | None:
        """What :meth:`sql` gives, for a cursor: plain SQL has begun to run, and an error at its start is raised here."""
        return self._run(query, params, self._executed)

    def _over(self, query: str, variables: dict[str, Any]) -> Result | None:
        return self._run(query, None, self._native_result, variables)

    def _run(
        self, query: str, params: Parameters, native: Native[N], variables: dict[str, Any] | None = None
    ) -> N | Result | None:
        if isinstance(params, str | bytes):
            raise errors.ProgrammingError("Parameters are a sequence or a mapping: for one text write [text].")
        if params is not None and not isinstance(params, Mapping):
            params = list(params)
        if variables is None:
            variables = variables_of_caller(query) if self.sees_variables else {}
        with self._lock, (duck := self._open_session().duck).seeing(variables):
            pieces = self.statements(query) if params is None else [query]
            work = partial(self._all, pieces, params, variables, native)
            return self._waiting.steps(work, duck.interrupt, done=stands)

    def _all(
        self, pieces: Sequence[str], params: Parameters, variables: dict[str, Any], native: Native[N]
    ) -> N | Result | None:
        result: N | Result | None = None
        for piece in pieces:
            check()
            if isinstance(result, SemanticResult):
                result.arrow()
            result = self._one(piece, params, variables, native)
        return result

    def execute(self, query: str, params: Parameters = None) -> Cursor:
        """``cursor().execute(…)``."""
        return self.cursor().execute(query, params)

    def cursor(self) -> Cursor:
        """A PEP 249 cursor over this connection (same transaction, same temporary tables)."""
        self._open_session()
        return Cursor(self)

    def statements(self, script: str) -> list[str]:
        """Split a script into statements, verbatim, without semicolons; what cannot be split is one statement."""
        if script.strip() and not any(mark in script for mark in (";", "--", "/*")):
            return [script]
        try:
            return split_statements(script)
        except errors.ParseError:
            return [script]

    def explain(self, query: str, *, analyze: bool = False) -> str:
        """The plan of a query as text; with ``analyze`` it runs first."""
        result = self.sql(f"EXPLAIN {'ANALYZE ' if analyze else ''}{query}")
        assert result is not None
        rows = result.fetchall()
        return "\n".join(str(row[-1]) for row in rows)

    def _one(self, query: str, params: Parameters, variables: dict[str, Any], native: Native[N]) -> N | Result | None:
        session = self._open_session()
        with translated():
            prepared = session.prepare(query, params)
            check()
            if isinstance(prepared, str):
                return native(session.duck, prepared, params, variables)
            if isinstance(prepared, Planned):
                return self._semantic_result(session, prepared, variables)
            read = partial(self._reading, session, variables=variables)
            if isinstance(prepared, Explain):
                said = explaining.explained(session, prepared, variables, self._waiting, read)
                return self._arrow_result(said, TextResult)
            if isinstance(prepared, Profile):
                return self._arrow_result(explaining.profiled(session, prepared, read))
            if isinstance(prepared, CreateProxy):
                return self._arrow_result(proxies.created(session, prepared, self._waiting, read))
            if isinstance(prepared, GiveFeedback):
                return self._arrow_result(feedback.kept(session, prepared))
            if isinstance(prepared, ShowFrontier):
                return self._arrow_result(explaining.frontier(session, prepared, variables, self._waiting))
            table = session.carry_out(prepared)
        return None if table is None else self._arrow_result(table)

    def _executed(
        self, duck: Duck, query: str, params: Parameters, variables: dict[str, Any]
    ) -> Executed | NativeResult | None:
        streams = can_stream(query)
        if not (streams or only_changes(query)):
            return self._native_result(duck, query, params, variables)

        def run() -> RowSpool:
            with duck.seeing(variables):
                return duck.rows(query, params)

        return Executed(plain_wait(run, duck, self._waiting), duck, self._waiting, streams=streams)

    def _native_result(
        self, duck: Duck, query: str, params: Parameters, variables: dict[str, Any]
    ) -> NativeResult | None:
        named = {} if params is None else {"params": params}

        def run() -> duckdb.DuckDBPyRelation | None:
            with duck.seeing(variables):
                relation: duckdb.DuckDBPyRelation | None = duck.native(self._native.sql, query, **named)
                return relation

        def again() -> RowSpool:
            with duck.seeing(variables):
                return duck.rows(query, params)

        relation = plain_wait(run, duck, self._waiting)
        if relation is None:
            return None
        if is_lazy(relation, query):
            return NativeResult(relation, duck, self._waiting, again)
        return NativeResult(relation, duck, self._waiting, reads=has_rows(duck, query, relation))

    def _semantic_result(self, session: Session, planned: Planned, variables: dict[str, Any]) -> SemanticResult:
        reading = self._reading(session, planned, variables)
        result = SemanticResult(reading)
        if not planned.returns_rows:
            reading.table()
        return result

    def _reading(self, session: Session, planned: Planned, variables: dict[str, Any]) -> Reading:
        explaining.refuse(session, planned, variables, self._waiting)
        confirm(session, planned, variables, self._waiting, self.confirm)
        execution = session.execute(planned)
        told = self._watchers.listener(self.progress_listener)
        reading = Reading(execution, session.duck, self._waiting, variables, told)
        self._readings.add(reading)
        return reading

    def _arrow_result(self, table: pa.Table, kind: type[NativeResult] = NativeResult) -> NativeResult:
        duck = self._open_session().duck
        return kind(duck.native(self._native.from_arrow, table), duck, self._waiting)

    # --- what there is ------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The ``llm_…`` settings."""
        return self._open_session().settings

    @property
    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB connection underneath."""
        session = self._open_session()
        session.duck.settle()
        session.definitions.changed()  # whatever happens on it, we do not see
        return self._native

    def register_model(self, name: str, model: Model) -> None:
        """Make a model object callable in SQL under ``name``, on this connection, for as long as it is open.

        Parameters
        ----------
        name : what ``SET llm_model`` and ``model :=`` call it; it hides a model of that name in the catalogue.
        model : anything with ``identity``, ``capabilities``, ``call`` and ``close``; retries, the cap on calls in flight
            and the store are put around it. Closing it stays with you.

        >>> from anserdb.udfs.models.scripted import ScriptedModel
        >>> con = connect(store=":memory:", llm_model="mine")
        >>> con.register_model("mine", ScriptedModel([("Lyon", "France")]))
        >>> con.sql("SELECT LLM_COMPLETE('In which country is it?', city) FROM (VALUES ('Lyon')) AS t(city)").fetchall()
        [('France',)]
        >>> con.close()
        """
        self._open_session().models.register(name, model)

    def tables(self) -> list[tuple[str, str]]:
        """Schema and name of every table and view."""
        rows = self._open_session().duck.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_name NOT LIKE '\\_\\_anser%' ESCAPE '\\' ORDER BY ALL"
        )
        return [(str(s), str(n)) for s, n in rows.fetchall()]

    def table_columns(self, name: str) -> list[tuple[str, str]]:
        """Names and types of a table's columns."""
        with translated():
            return self._open_session().describe(f"SELECT * FROM {name}")

    def usage(self) -> pa.Table:
        """Calls, tokens and money per model and function; ``llm_usage()`` has them by query and day, too."""
        return self._open_session().usage()

    def on_progress(self, watcher: Watcher) -> Callable[[], None]:
        """Have ``watcher`` called with a :class:`ProgressEvent` about ten times a second while a query with semantic
        functions is being read, and once at its end, in the thread that reads it. What is given back ends that. A watcher
        that fails is called no more, with a RuntimeWarning; the query goes on.

        >>> con, events = connect(store=":memory:", llm_model="scripted"), []
        >>> _ = con.on_progress(events.append)
        >>> con.sql("SELECT LLM_COMPLETE('Say it', i::VARCHAR) FROM range(3) r(i)").fetchall() and None
        >>> [(o.site, o.rows_done, o.calls) for o in events[-1].operators], con.close()
        ([('1:LLM_COMPLETE', 3, 3)], None)
        """
        return self._watchers.add(watcher)

    # --- life ---------------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Stop the statement that is under way, from planning to its last row, from any thread; who waits gets ``Interrupted``.

        So does who reads on in a result of semantic functions that is half read. What begins later is not stopped.
        """
        self._waiting.interrupt()

    def commit(self) -> None:
        """Commit the open transaction, if any (DuckDB commits by itself outside BEGIN)."""
        self._transaction("COMMIT")

    def rollback(self) -> None:
        """Roll back the open transaction, if any."""
        self._transaction("ROLLBACK")

    def close(self) -> None:
        """Stop what runs and close; idempotent. Answers and records stay in the store."""
        session, self._session = self._session, None
        if session is None:
            return
        over = InterfaceError("The connection is closed.")
        try:
            self._waiting.interrupt()
            for reading in list(self._readings):
                reading.close(over)
            session.duck.settle()
        finally:
            session.close()
            if self._owned:
                self._native.close()

    def _transaction(self, verb: str) -> None:
        session = self._open_session()
        session.definitions.observe(verb)
        try:
            session.duck.execute(verb)
        except duckdb.TransactionException as error:
            if "no transaction is active" not in str(error):
                raise translate(error) from error

    def _open_session(self) -> Session:
        if self._session is None:
            raise InterfaceError("The connection is closed.")
        return self._session

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


__all__: Sequence[str] = ["Connection", "connect"]
