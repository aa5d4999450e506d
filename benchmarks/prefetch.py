"""PREFETCH beside EMBEDDED for calls that stay in the text, on a simulated server: ``make bench-prefetch``.

The same statements with the rule ``prefetch`` off and on, in one process. The server is SIMULATED: it takes 50 ms per
answer, serves CAP requests at once, and runs in a process of its own. Its count of calls has to be the same for both.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import anserdb

from .server.child import ChildServer
from .support_clients import MODEL
from .support_measure import table

LATENCY_S, CAPS = 0.05, (64, 256)
ROWS = 200_000
SETUP = (
    f"CREATE TABLE t AS SELECT i AS id, i % 4999 AS u_id, i % 600 AS bucket, 'Ticket ' || i || ': the parcel has not arrived' AS body FROM range({ROWS}) r(i)",
    "CREATE TABLE u AS SELECT i AS id, 'Customer ' || i || ' writes often' AS note FROM range(4999) r(i)",
)
HEAD = [
    "statement",
    "cap",
    "calls",
    "EMBEDDED s",
    "most in flight",
    "PREFETCH s",
    "most in flight",
    "EMBEDDED / PREFETCH",
    "least possible s",
    "PREFETCH / least",
]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A statement whose calls stay in the text."""

    title: str
    sql: str


SCENARIOS = (
    Scenario(
        "outer join, condition on one side",
        "SELECT count(*), count(t.id) FROM u LEFT JOIN t ON t.u_id = u.id AND t.bucket = 0 "
        "AND LLM_FILTER('Is it about a parcel?', t.body)",
    ),
    Scenario(
        "outer join, condition on both sides",
        "SELECT count(*), count(u.id) FROM (SELECT * FROM t WHERE bucket = 0) t LEFT JOIN u "
        "ON t.u_id = u.id AND LLM_FILTER('Is it about a parcel?', t.body || u.note)",
    ),
    Scenario(
        "lambda over lists of three",
        "SELECT sum(len(list_filter([body, 'again ' || body, body || '?'], lambda x: LLM_FILTER('Is it about a parcel?', x)))) "
        "FROM t WHERE bucket = 0 AND id % 9 = 0",
    ),
    Scenario(
        "correlated subquery",
        "SELECT count(*) FROM u WHERE EXISTS (SELECT 1 FROM t WHERE t.u_id = u.id AND t.bucket = 0 "
        "AND LLM_FILTER('Is it about a parcel?', t.body))",
    ),
    Scenario(
        "UPDATE",
        "UPDATE t SET body = CASE WHEN LLM_FILTER('Is it about a parcel?', body) THEN body ELSE body END WHERE bucket = 0",
    ),
)


@contextmanager
def connected(server: ChildServer, cap: int, *, prefetch: bool) -> Iterator[anserdb.Connection]:
    """A connection with the tables and an empty store on disk."""
    with (
        tempfile.TemporaryDirectory(prefix="anserdb-bench-") as folder,
        anserdb.connect(store=f"{folder}/store.db", llm_model=MODEL) as con,
    ):
        con.settings.assign("llm_disabled_rules", "" if prefetch else "prefetch")
        for statement in SETUP:
            con.sql(statement)
        con.sql(
            f"CREATE MODEL {MODEL} (PROVIDER openai, MODEL '{MODEL}', BASE_URL '{server.base_url}', CONCURRENCY {cap})"
        )
        yield con


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds, counts as the server saw them, and the result."""

    wall_s: float
    calls: int
    in_flight: int
    rows: str


def timed(server: ChildServer, cap: int, scenario: Scenario, *, prefetch: bool) -> Run:
    """Run a statement once."""
    with connected(server, cap, prefetch=prefetch) as con:
        mode = con.explain(scenario.sql).split()[1]
        assert mode == ("PREFETCH" if prefetch else "EMBEDDED"), con.explain(scenario.sql)
        server.reset()
        started = time.perf_counter()
        result = con.sql(scenario.sql)
        rows = repr(result.fetchall()) if result is not None else ""
        wall_s, seen = time.perf_counter() - started, server.stats()
        return Run(wall_s, int(seen["requests"]), int(seen["max_in_flight"]), rows)


def compared(server: ChildServer, cap: int, scenario: Scenario, runs: int) -> list[str]:
    """A line of the table."""
    found = [[timed(server, cap, scenario, prefetch=p) for _ in range(runs)] for p in (False, True)]
    assert len({(run.calls, run.rows) for of_mode in found for run in of_mode}) == 1, found
    calls = found[0][0].calls
    embedded, prefetch = (median(run.wall_s for run in of_mode) for of_mode in found)
    held, full = (median(run.in_flight for run in of_mode) for of_mode in found)
    least = LATENCY_S * -(-calls // cap)
    return [
        scenario.title, str(cap), f"{calls:,}", f"{embedded:.2f}", f"{held:.0f}", f"{prefetch:.2f}", f"{full:.0f}",
        f"{embedded / prefetch:.2f}", f"{least:.2f}", f"{prefetch / least:.2f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2, help="runs of each; medians are printed")
    runs = parser.parse_args().runs
    lines = []
    for cap in CAPS:
        with ChildServer(latency_s=LATENCY_S, cap=cap) as server:
            lines += [compared(server, cap, scenario, runs) for scenario in SCENARIOS]
    print(f"A SIMULATED server: {LATENCY_S * 1000:.0f} ms per answer, cap requests at once. Medians of {runs} runs.")
    print(table(HEAD, lines))


if __name__ == "__main__":
    main()
