"""DuckDB as seen by the planner: the user's connection, and bare ones that share its settings.

A DuckDB connection serves one open result at a time. What streams from the user's connection is therefore wrapped in a
:class:`Spool`, and whoever needs the connection next makes the spool drink up first.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

ROWS_PER_BATCH = 2048
"""DuckDB's own vector size: the granule at which a lazy source is read."""

# Settings that change what an expression means; a bare connection must agree with the user's on them.
_MEANING = (
    "TimeZone",
    "Calendar",
    "default_collation",
    "default_null_order",
    "default_order",
    "integer_division",
    "old_implicit_casting",
    "ieee_floating_point_ops",
    "order_by_non_integer_literal",
    "scalar_subquery_error_on_multiple_rows",
)


class Spool:
    """A record batch reader over an open result, which can be told to read all that is left into memory."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader: pa.RecordBatchReader | None = reader
        self._kept: deque[pa.RecordBatch] = deque()
        self._lock = threading.Lock()
        self.schema: pa.Schema = reader.schema

    def read_next_batch(self) -> pa.RecordBatch:
        """The next batch; StopIteration at the end."""
        with self._lock:
            if self._kept:
                return self._kept.popleft()
            if self._reader is None:
                raise StopIteration
            try:
                return self._reader.read_next_batch()
            except StopIteration:
                self._reader = None
                raise

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                yield self.read_next_batch()
            except StopIteration:
                return

    def detach(self) -> None:
        """Read what is left into memory and let the connection go."""
        with self._lock:
            if self._reader is not None:
                self._kept.extend(self._reader)
                self._reader = None

    def close(self) -> None:
        """Give up what is left."""
        with self._lock:
            reader, self._reader = self._reader, None
            self._kept.clear()
        if reader is not None:
            reader.close()


class Duck:
    """The user's connection and what we do with it. Methods that run statements settle an open spool first."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._spool: Spool | None = None
        self._bare: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.RLock()

    def settle(self) -> None:
        """Free the connection: an unread result moves into memory."""
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.detach()

    def execute(self, sql: str, parameters: Any = None) -> duckdb.DuckDBPyConnection:
        """Run a statement on the user's connection."""
        self.settle()
        return self.connection.execute(sql) if parameters is None else self.connection.execute(sql, parameters)

    def open(self, sql: str) -> Spool:
        """Run a query and stream its result."""
        self.settle()
        relation = self.connection.sql(sql)
        self._spool = spool = Spool(relation.to_arrow_reader(ROWS_PER_BATCH))
        return spool

    def table(self, sql: str) -> pa.Table:
        """Run a query and read all of it."""
        self.settle()
        return self.connection.sql(sql).to_arrow_table()

    def describe(self, sql: str, *, private: bool = False) -> list[tuple[str, str]]:
        """Names and types of a query's result, without running it."""
        if private:
            with self._lock:
                rows = self._shared_bare().execute(f"DESCRIBE {sql}").fetchall()
        else:
            rows = self.execute(f"DESCRIBE {sql}").fetchall()
        return [(str(r[0]), str(r[1])) for r in rows]

    def value(self, sql: str) -> Any:
        """The only value of a query."""
        row = self.execute(sql).fetchone()
        while self.connection.fetchone() is not None:
            pass
        return None if row is None else row[0]

    def aggregates(self) -> frozenset[str]:
        """Names of aggregate functions, upper case."""
        rows = self.execute("SELECT DISTINCT upper(function_name) FROM duckdb_functions() WHERE function_type = 'aggregate'")
        return frozenset(r[0] for r in rows.fetchall())

    def redefined(self) -> frozenset[str]:
        """Macros and functions of the user, upper case: an expression that names one needs the user's connection."""
        rows = self.execute("SELECT DISTINCT upper(function_name) FROM duckdb_functions() WHERE NOT internal")
        return frozenset(r[0] for r in rows.fetchall())

    def binds_bare(self, sql: str, name: str, schema: pa.Schema) -> bool:
        """Whether a query over an Arrow relation binds on a bare connection and names nothing the user redefined."""
        if self.names_redefined(sql):
            return False
        with self._lock:
            bare = self._shared_bare()
            bare.register(name, schema.empty_table())
            try:
                bare.execute(f"DESCRIBE {sql}").fetchall()
                return True
            except duckdb.Error:
                return False
            finally:
                bare.unregister(name)

    def names_redefined(self, sql: str) -> bool:
        """Whether a text names a macro or function of the user."""
        return bool(frozenset(re.findall(r"\w+", sql.upper())) & self.redefined())

    def bare(self) -> duckdb.DuckDBPyConnection:
        """A new in-memory connection on which an expression means what it means on the user's."""
        bare = duckdb.connect(":memory:")
        for name, value in self._meaning().items():
            bare.execute(f"SET {name} = {_literal(value)}")
        return bare

    def register(self, tables: Mapping[str, pa.Table]) -> None:
        """Let the user's connection see Arrow tables by name."""
        self.settle()
        for name, table in tables.items():
            self.connection.register(name, table)

    def unregister(self, names: Sequence[str]) -> None:
        """Forget them."""
        self.settle()
        for name in names:
            self.connection.unregister(name)

    def interrupt(self) -> None:
        """Stop what the user's connection is doing."""
        self.connection.interrupt()

    def close(self) -> None:
        """Close the private connection; the user's belongs to its owner."""
        if self._bare is not None:
            self._bare.close()
            self._bare = None

    def refresh(self) -> None:
        """Forget the private connection: settings may have changed."""
        self.close()

    def _shared_bare(self) -> duckdb.DuckDBPyConnection:
        if self._bare is None:
            self._bare = self.bare()
        return self._bare

    def _meaning(self) -> dict[str, str]:
        wanted = ", ".join(_literal(n) for n in _MEANING)
        sql = f"SELECT name, value FROM duckdb_settings() WHERE name IN ({wanted}) AND value IS NOT NULL AND value <> ''"
        theirs = dict(self.execute(sql).fetchall())
        with duckdb.connect(":memory:") as fresh:
            mine = dict(fresh.execute(sql).fetchall())
        return {n: v for n, v in theirs.items() if mine.get(n) != v}


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
