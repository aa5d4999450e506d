"""Bare DuckDB connections on which an expression means what it means on the user's connection, and nothing else is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import duckdb

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


class PrivateConnections:
    """Connections of one in-memory instance per set of settings: an instance takes tens of milliseconds, a cursor none.

    Parameters
    ----------
    read : runs a query on the user's connection and gives its rows.
    """

    def __init__(self, read: Callable[[str], Sequence[tuple[str | None, ...]]]) -> None:
        self._read = read
        self._meaning: Mapping[str, str] | None = None
        self._instances: list[duckdb.DuckDBPyConnection] = []
        self._shared: duckdb.DuckDBPyConnection | None = None
        self._outdated = True

    def refresh(self) -> None:
        """The user's settings may have changed."""
        self._outdated = True

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A new connection, which the caller closes."""
        instance = self._instance()
        instance.execute(f"SET GLOBAL threads = {_threads()}")  # who had one before may have asked for less
        return instance.cursor()

    def shared(self) -> duckdb.DuckDBPyConnection:
        """A connection for looks at what binds; the same one until the settings change."""
        instance = self._instance()
        if self._shared is None:
            self._shared = instance.cursor()
        return self._shared

    def close(self) -> None:
        """Close the instances, and with them their connections."""
        for instance in self._instances:
            instance.close()
        self._instances, self._meaning, self._shared = [], None, None

    def _instance(self) -> duckdb.DuckDBPyConnection:
        if self._outdated or self._meaning is None:
            mine = _defaults()
            (theirs,) = self._read(_values(tuple(mine)))
            meaning = {name: value for name, value in zip(mine, theirs, strict=True) if value and value != mine[name]}
            if meaning != self._meaning:
                self._start(meaning)
            self._outdated = False
        return self._instances[-1]

    def _start(self, meaning: Mapping[str, str]) -> None:
        # Older instances stay: statements that began under other settings still use them.
        instance = duckdb.connect(":memory:")
        for name, value in meaning.items():
            instance.execute(f"SET GLOBAL {name} = '{value.replace(chr(39), chr(39) * 2)}'")
        self._instances.append(instance)
        self._meaning, self._shared = meaning, None


@cache
def _defaults() -> Mapping[str, str | None]:
    with duckdb.connect(":memory:") as fresh:
        known = fresh.execute(f"SELECT name FROM duckdb_settings() WHERE name IN {_MEANING!r}").fetchall()
        names = tuple(str(name) for (name,) in known)
        return dict(zip(names, fresh.execute(_values(names)).fetchall()[0], strict=True))


def _values(names: Sequence[str]) -> str:
    # duckdb_settings() would describe every setting first, which takes longer than the rest of the planning.
    return f"SELECT {', '.join(f'current_setting({name!r})::VARCHAR' for name in names)}"


@cache
def _threads() -> int:
    with duckdb.connect(":memory:") as fresh:
        row = fresh.execute("SELECT current_setting('threads')").fetchone()
        return int(row[0]) if row else 1
