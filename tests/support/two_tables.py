"""The tables ``t`` and ``u`` of random statements, alike on several connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import duckdb


def fill(
    connections: Iterable[duckdb.DuckDBPyConnection], t: Sequence[tuple[Any, ...]], u: Sequence[tuple[Any, ...]]
) -> None:
    """Make the tables anew, rows numbered from 0."""
    for native in connections:
        native.execute("CREATE OR REPLACE TABLE t (id INTEGER, a VARCHAR, b VARCHAR, n INTEGER)")
        native.execute("CREATE OR REPLACE TABLE u (id INTEGER, c VARCHAR, n INTEGER)")
        _insert(native, "t", "(?, ?, ?, ?)", t)
        _insert(native, "u", "(?, ?, ?)", u)


def _insert(native: duckdb.DuckDBPyConnection, table: str, row: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """All rows by one statement."""
    if rows:
        values = [value for number, cells in enumerate(rows) for value in (number, *cells)]
        native.execute(f"INSERT INTO {table} VALUES {', '.join([row] * len(rows))}", values)
