"""DuckDB as seen by the planner: the user's connection, and bare ones that share its settings.

A DuckDB connection serves one open result at a time. What streams from the user's connection is therefore wrapped in a
:class:`~.spool.Spool`, and whoever needs the connection next makes the spool drink up first.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from .carried import carrying, restoring
from .private import PrivateConnections
from .python_names import call_seeing
from .sized_reader import GRAIN, SizedReader
from .spool import OpenResult, Row, RowSpool, Spool
from .stopping import check, heard
from .user_functions import UserFunctions

ROWS_PER_BATCH = 2048
"""DuckDB's own vector size: the granule at which a lazy source is read."""

# Functions and words whose value is the session's or the transaction's.
_aggregates: dict[tuple[tuple[str, ...], ...], frozenset[str]] = {}
"""By the extensions that are loaded: listing functions takes longer than planning a query."""

_OF_SESSION = frozenset((
    "CURRENT_CATALOG", "CURRENT_CONNECTION_ID", "CURRENT_DATABASE", "CURRENT_DATE", "CURRENT_LOCALTIME",
    "CURRENT_LOCALTIMESTAMP", "CURRENT_QUERY", "CURRENT_QUERY_ID", "CURRENT_SCHEMA", "CURRENT_SCHEMAS", "CURRENT_SETTING",
    "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_TRANSACTION_ID", "CURRENT_USER", "CURRVAL", "GETENV", "GETVARIABLE",
    "GET_CURRENT_TIME", "GET_CURRENT_TIMESTAMP", "IN_SEARCH_PATH", "LOCALTIME", "LOCALTIMESTAMP", "NEXTVAL", "NOW",
    "SESSION_USER", "TODAY", "TRANSACTION_TIMESTAMP", "TXID_CURRENT", "USER",
))  # fmt: skip

__all__ = ["ROWS_PER_BATCH", "Duck", "Fetched", "Spool", "spooled"]


class Fetched:
    """The rows of a statement that is over."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def fetchall(self) -> list[Row]:
        """All of them."""
        return self._rows


class Duck:
    """The user's connection and what we do with it.

    Every method may be called from any thread: statements take turns, and each moves an unread result out of its way.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.lock = threading.RLock()
        self._open: OpenResult | None = None
        self._registered: Counter[str] = Counter()
        self._views: set[str] = set()
        self._unwanted: deque[Callable[[], object]] = deque()
        self._functions: dict[str, object] = {}
        self._private = PrivateConnections(lambda sql: self.execute(sql).fetchall())
        self._user_functions = UserFunctions(self.native, connection)
        self._thread = threading.local()

    # --- turns --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Free the connection: an unread result moves into memory."""
        with self.lock:
            opened, self._open = self._open, None
            if opened is not None:
                opened.detach()
            self._tidy()

    @property
    def is_free(self) -> bool:
        """Whether no unread result has to move out of the way first."""
        return self._open is None or self._open.over

    @contextmanager
    def seeing(self, variables: dict[str, Any]) -> Iterator[None]:
        """In this thread, let statements find Python variables by name, as DuckDB does with its caller's."""
        before = getattr(self._thread, "variables", None)
        self._thread.variables = variables
        try:
            yield
        finally:
            self._thread.variables = before

    def lend(self, name: str, table: pa.Table) -> None:
        """Let the statement at hand see a table; it stays for as long as the statement's variables do."""
        variables = getattr(self._thread, "variables", None)
        if variables is None:
            self.register({name: table})
        else:
            variables[name] = table

    def native(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call something of DuckDB's on the freed connection. Raises Interrupted where this thread's work was stopped."""
        check()
        with self.lock:
            self.settle()
            return self._call(method, *arguments, **named)

    # --- statements ---------------------------------------------------------------------------------------------

    def execute(self, sql: str, parameters: Any = None) -> Fetched:
        """Run a statement on the user's connection to its end."""
        with self.lock:
            given = () if parameters is None else (parameters,)
            return Fetched(self.native(self.connection.execute, sql, *given).fetchall())

    def rows(self, sql: str, parameters: Any = None) -> RowSpool:
        """Run a query and stream its rows."""
        with self.lock:
            given = () if parameters is None else (parameters,)
            self.native(self.connection.execute, sql, *given)
            self._open = spool = RowSpool(self.connection)
            return spool

    def open(self, sql: str) -> Spool:
        """Run a query and stream its result, in types that survive Arrow (see :mod:`.carried`)."""
        with self.lock:
            relation = self.native(self.connection.sql, sql)
            spool: Spool = self._call(spooled, relation)
            self._open = spool
            return spool

    def stream(self, relation: duckdb.DuckDBPyRelation) -> Spool:
        """Read a relation as it is."""
        with self.lock:
            self._open = spool = Spool(self.native(relation.to_arrow_reader, ROWS_PER_BATCH))
            return spool

    def table(self, sql: str) -> pa.Table:
        """Run a query and read all of it."""
        with self.lock:
            return self._call(self.native(self.connection.sql, sql).to_arrow_table)

    def describe(self, sql: str, *, private: bool = False) -> list[tuple[str, str]]:
        """Names and types of a query's result, without running it."""
        if private:
            with self.lock:
                rows = self._private.shared().execute(f"DESCRIBE {sql}").fetchall()
        else:
            rows = self.execute(f"DESCRIBE {sql}").fetchall()
        return [(str(r[0]), str(r[1])) for r in rows]

    def value(self, sql: str) -> Any:
        """The first value of a query."""
        rows = self.execute(sql).fetchall()
        return rows[0][0] if rows else None

    def aggregates(self) -> frozenset[str]:
        """Names of aggregate functions, upper case. Only DuckDB and its extensions bring any."""
        loaded = tuple(
            self.execute("SELECT extension_name FROM duckdb_extensions() WHERE loaded ORDER BY 1").fetchall()
        )
        if loaded not in _aggregates:
            rows = self.execute(
                "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
            )
            _aggregates[loaded] = frozenset(r[0].upper() for r in rows.fetchall())
        return _aggregates[loaded]

    def redefined(self) -> frozenset[str]:
        """Macros and functions of the user, upper case: an expression that names one needs the user's connection."""
        return self._user_functions.listed()

    def names_redefined(self, sql: str) -> bool:
        """Whether a text names a macro or function of the user, or one that tells of the user's session."""
        of_session = not _OF_SESSION.isdisjoint(re.findall(r"\w+", sql.upper()))
        return of_session or self._user_functions.called(sql)

    # --- what our statements read -------------------------------------------------------------------------------

    def register(self, tables: Mapping[str, pa.Table], types: Mapping[str, Sequence[str]] | None = None) -> None:
        """Let the user's connection see Arrow tables by name.

        Parameters
        ----------
        types : a table's DuckDB types, where it has travelled (see :mod:`.carried`) and is to have them again.
        """
        with self.lock:
            self.settle()
            for name, table in tables.items():
                self._show(name, table, (types or {}).get(name, ()))
                self._registered[name] += 1  # statements that overlap use the same names

    def unregister(self, names: Sequence[str]) -> None:
        """Forget tables, as soon as the connection is free: this never waits."""
        self._later([partial(self._forget, name) for name in names])

    def create_function(self, name: str, owner: object, create: Callable[[], object]) -> None:
        """Make a function for ``owner``; one of an earlier owner, whose statement is over, gives way."""
        with self.lock:
            self.settle()
            if name in self._functions:
                self.connection.remove_function(name)
            create()
            self._functions[name] = owner

    def remove_functions(self, names: Sequence[str], owner: object) -> None:
        """Remove functions that are still the owner's, as soon as the connection is free: this never waits."""
        self._later([partial(self._remove, name, owner) for name in names])

    # --- private connections ------------------------------------------------------------------------------------

    def binds_bare(self, sql: str, name: str, schema: pa.Schema) -> bool:
        """Whether a query over an Arrow relation binds on a bare connection and names nothing the user redefined."""
        if self.names_redefined(sql):
            return False
        with self.lock:
            bare = self._private.shared()
            bare.register(name, schema.empty_table())
            try:
                bare.execute(f"DESCRIBE {sql}").fetchall()
                return True
            except duckdb.Error:
                return False
            finally:
                bare.unregister(name)

    def bare(self) -> duckdb.DuckDBPyConnection:
        """A new in-memory connection on which an expression means what it means on the user's."""
        with self.lock:
            return self._private.connect()

    def refresh(self) -> None:
        """A statement begins: settings and functions may have changed since the last one."""
        with self.lock:
            self._private.refresh()
        self._user_functions.refresh()

    def interrupt(self) -> None:
        """Stop what the user's connection is doing."""
        self.connection.interrupt()

    def close(self) -> None:
        """Close the private connections; the user's belongs to its owner."""
        with self.lock:
            self._private.close()

    # --- inside -------------------------------------------------------------------------------------------------

    def _call(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with heard():
            return call_seeing(getattr(self._thread, "variables", None) or {}, method, *arguments, **named)

    def _later(self, actions: Sequence[Callable[[], object]]) -> None:
        self._unwanted.extend(actions)
        if self.lock.acquire(blocking=False):
            try:
                if self._open is None:
                    self._tidy()
            finally:
                self.lock.release()

    def _tidy(self) -> None:
        while self._unwanted:
            self._unwanted.popleft()()

    def _forget(self, name: str) -> None:
        self._registered[name] -= 1
        if self._registered[name] <= 0:
            del self._registered[name]
            if name in self._views:
                self._views.discard(name)
                self.connection.execute(f"DROP VIEW IF EXISTS {name}")
                name = _raw(name)
            self.connection.unregister(name)

    def _show(self, name: str, table: pa.Table, types: Sequence[str]) -> None:
        restored = restoring(table.column_names, types, _raw(name)) if types else None
        if restored is None:
            self.connection.register(name, table)
            return
        self.connection.register(_raw(name), table)
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {restored}")
        self._views.add(name)

    def _remove(self, name: str, owner: object) -> None:
        if self._functions.get(name) is owner:
            del self._functions[name]
            self.connection.remove_function(name)


def spooled(relation: duckdb.DuckDBPyRelation) -> Spool:
    """Run a relation and stream its rows, in types that survive Arrow (see :mod:`.carried`)."""
    names, types = list(relation.columns), [str(t) for t in relation.types]
    carried = carrying(names, types, "__result")
    travelling = relation if carried is None else relation.query("__result", carried)
    assert travelling is not None  # a SELECT
    return Spool(SizedReader(travelling.to_arrow_reader(GRAIN), ROWS_PER_BATCH), names, types)


def _raw(name: str) -> str:
    return f"{name}__raw"
