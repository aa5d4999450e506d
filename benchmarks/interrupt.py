"""How long ``con.interrupt()`` takes to end a statement, at random instants from its planning to its last row:
``make bench-interrupt``.

Beside it, in turns in the same process, DuckDB's own interrupt of a statement of plain SQL on a connection of DuckDB's. The
model server is SIMULATED (``benchmarks/server``): 40 ms an answer, 32 calls in flight when the interrupt comes.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import os
import platform
import random
import threading
import time
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import NamedTuple, Protocol

import duckdb

import anserdb

from .support_measure import table
from .support_server import Server, cpu_s

MOST_MS, CAP, LATENCY_S, LONGEST_S = 100.0, 32, 0.04, 0.4
TEXT = "LLM_COMPLETE('say ' || '{}', body)"
PLAIN = "SELECT count(*) FROM range(10_000_000) a, range(10_000_000) b WHERE a.range + b.range < 0"


class Interruptible(Protocol):
    """A connection, ours or DuckDB's."""

    def interrupt(self) -> None: ...


Run = Callable[[int], object]


class Took(NamedTuple):
    """Time from an interrupt to its error, and this process's CPU in it, in seconds."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=20, help="interrupts of each kind of statement")
    given = parser.parse_args()
    print(f"{datetime.date.today()}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
          f"load {os.getloadavg()[0]:.1f} before; SIMULATED server in a process of its own; each figure of "
          f"{given.repeat} interrupts at random instants of the first {LONGEST_S:.1f} s")  # fmt: skip
    with (
        Server(latency_s=LATENCY_S, cap=256) as server,
        anserdb.connect(store=":memory:", llm_model="simulated") as con,
        duckdb.connect() as native,
    ):
        con.sql(f"CREATE MODEL simulated (PROVIDER openai, MODEL 'm', BASE_URL '{server.base_url}', CONCURRENCY {CAP})")
        con.sql("CREATE TABLE t AS SELECT 'text ' || i AS body FROM range(20_000) r(i)")
        con.sql("PREPARE p AS SELECT LLM_COMPLETE('say ' || $1, body) FROM t")
        took = _measured(con, native, given.repeat)
    _report(took)


def _statements(con: anserdb.Connection, native: duckdb.DuckDBPyConnection) -> dict[str, tuple[Interruptible, Run]]:
    asked = TEXT.format

    def rows(query: str) -> object:
        result = con.sql(query)
        return result and result.fetchall()

    return {
        "DuckDB, plain SQL": (native, lambda n: native.execute(PLAIN).fetchall()),
        "plain SQL": (con, lambda n: rows(PLAIN)),
        "SELECT": (con, lambda n: rows(f"SELECT {asked(n)} FROM t")),
        "cursor, row by row": (con, lambda n: list(con.execute(f"SELECT {asked(n)} FROM t"))),
        "CREATE TABLE AS": (con, lambda n: rows(f"CREATE OR REPLACE TABLE u AS SELECT {asked(n)} AS x FROM t")),
        "EXECUTE": (con, lambda n: rows(f"EXECUTE p('{n}')")),
        "EXPLAIN ANALYZE": (con, lambda n: con.explain(f"SELECT {asked(n)} FROM t", analyze=True)),
        "in the text (PREFETCH)": (
            con,
            lambda n: rows(f"SELECT list_transform([body], lambda body: {asked(n)}) FROM t"),
        ),
    }


def _measured(con: anserdb.Connection, native: duckdb.DuckDBPyConnection, repeat: int) -> dict[str, list[Took]]:
    chosen, numbers = random.Random(11), itertools.count()
    statements = _statements(con, native)
    took: dict[str, list[Took]] = {name: [] for name in statements}
    for _ in range(repeat):  # in turns, so that what else the machine does meets all of them
        for name, (connection, run) in statements.items():
            took[name].append(_one(connection, run, next(numbers), chosen.uniform(0.001, LONGEST_S)))
    return took


def _one(connection: Interruptible, run: Run, number: int, after_s: float) -> Took:
    """From the interrupt to the error."""
    ended: list[tuple[float, float, BaseException | None]] = []
    started = threading.Event()

    def work() -> None:
        started.set()
        try:
            run(number)
            ended.append((time.perf_counter(), cpu_s(), None))
        except Exception as error:
            ended.append((time.perf_counter(), cpu_s(), error))

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    time.sleep(after_s)
    told, used = time.perf_counter(), cpu_s()
    connection.interrupt()
    thread.join(60)
    if not ended or not isinstance(ended[0][2], anserdb.Interrupted | duckdb.InterruptException):
        raise SystemExit(f"Not interrupted: {ended}")
    return Took(ended[0][0] - told, ended[0][1] - used)


def _report(took: dict[str, list[Took]]) -> None:
    heads = ["statement", "p50 ms", "p95 ms", "most ms", "p50 of CPU, ms"]
    print("\n" + table(heads, [_row(name, of) for name, of in took.items()]))
    ours = [one.wall_s for name, of in took.items() if not name.startswith("DuckDB") for one in of]
    late = sum(wall_s * 1000 > MOST_MS for wall_s in ours)
    print(f"- of {len(ours)} interrupts of ours {len(ours) - late} returned within {MOST_MS:.0f} ms: "
          f"{'met' if not late else 'MISSED'}; load {os.getloadavg()[0]:.1f} after")  # fmt: skip


def _row(name: str, took: Sequence[Took]) -> list[str]:
    walls = [one.wall_s for one in took]
    p95 = quantiles(walls, n=20, method="inclusive")[-1]
    return [name, *(f"{1000 * s:.1f}" for s in (median(walls), p95, max(walls), median(one.cpu_s for one in took)))]


if __name__ == "__main__":
    main()
