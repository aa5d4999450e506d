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
        for number, row in enumerate(t):
            native.execute("INSERT INTO t VALUES (?, ?, ?, ?)", [number, *row])
        for number, row in enumerate(u):
            native.execute("INSERT INTO u VALUES (?, ?, ?)", [number, *row])
