"""What AnserDB adds to plain SQL: ``make bench-plain``.

Each statement runs in raw DuckDB and through AnserDB's connection by turns, in one process, to its last row, by both of
DuckDB's own roads: ``execute(…).fetchall()`` and ``sql(…).fetchall()``. Medians; what AnserDB adds is the difference.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from itertools import chain
from statistics import median
from typing import Any

import duckdb

import anserdb

SETUP = "CREATE TABLE t AS SELECT i, i % 10 AS k, 'text ' || i AS s FROM range(1000) r(i)"
STATEMENTS = {
    "constant": "SELECT 1",
    "one row by key": "SELECT s FROM t WHERE i = 500",
    "aggregate": "SELECT k, count(*), max(s) FROM t GROUP BY k ORDER BY k",
    "1,000 rows": "SELECT * FROM t",
    "join with CTE": "WITH a AS (SELECT k, min(i) AS i FROM t GROUP BY k) SELECT t.s FROM t JOIN a USING (i) ORDER BY ALL",
    "insert one row": "INSERT INTO u VALUES (1, 'x')",
    "update": "UPDATE u SET s = 'y' WHERE i = 2",
    "settings": "SET VARIABLE v = 1",
}
"""Plain statements by what they are like."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="runs of each statement on each road")
    rounds = parser.parse_args().rounds
    print(
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}, {platform.machine()}; {rounds} rounds, ms\n"
    )
    print(f"{'statement':<16} {'road':<8} {'DuckDB':>8} {'AnserDB':>8} {'added':>8} {'ratio':>6}")
    added: dict[str, list[float]] = {}
    for name, statement in STATEMENTS.items():
        for road, raw, ours in _measured(statement, rounds):
            added.setdefault(road, []).append(ours - raw)
            print(f"{name:<16} {road:<8} {raw:>8.3f} {ours:>8.3f} {ours - raw:>8.3f} {ours / raw:>6.2f}")
    medians = ", ".join(f"{road} {median(found):.3f} ms" for road, found in added.items())
    print(f"\nAdded per statement at the median: {median(chain(*added.values())):.3f} ms ({medians})")


def _measured(statement: str, rounds: int) -> list[tuple[str, float, float]]:
    """Per road, the medians of DuckDB and of AnserDB in milliseconds."""
    with duckdb.connect() as raw, anserdb.connect(duckdb.connect(), store=":memory:") as ours:
        for native in (raw, ours.duckdb):
            native.execute(SETUP)
            native.execute("CREATE TABLE u (i INTEGER, s VARCHAR)")
        roads: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "execute": (lambda: raw.execute(statement).fetchall(), lambda: _executed(ours, statement)),
            "sql": (lambda: _read(raw.sql(statement)), lambda: _read(ours.sql(statement))),
        }
        return [(road, *_medians(*pair, rounds)) for road, pair in roads.items()]


def _executed(connection: anserdb.Connection, statement: str) -> Any:
    cursor = connection.execute(statement)
    return cursor.fetchall() if cursor.description else None


def _read(result: Any) -> Any:
    return None if result is None else result.fetchall()


def _medians(raw: Callable[[], Any], ours: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """By turns, so that a change in the machine's speed meets both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, found in zip((raw, ours), seconds, strict=True):
            started = time.perf_counter()
            work()
            found.append(time.perf_counter() - started)
    return median(seconds[0]) * 1000, median(seconds[1]) * 1000


if __name__ == "__main__":
    main()
