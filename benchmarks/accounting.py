"""What the records of calls cost: ``make bench-accounting``.

The same query runs by turns with its books (record, price, energy, emissions, progress and budget of every call) and without
any. Answers are durable before their row, and hold their slot until then, in both, for
that is no accounting: without it a rerun would pay twice. What that
costs is told by a third kind, which keeps nothing at all; what the dispatcher's traces cost, from which it learns how long calls
take, by a fourth. The server is a SIMULATOR in a process of its own; figures are this process's CPU, which other work on the
machine disturbs least.
"""

from __future__ import annotations

import argparse
import gc
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from math import comb
from pathlib import Path
from statistics import median
from typing import Any, cast
from unittest.mock import patch

import anserdb
from anserdb.engine.dataflow import caller
from anserdb.engine.dataflow.gates import Origin
from anserdb.engine.dataflow.metering import Meter
from anserdb.engine.dataflow.run import QueryRun
from anserdb.engine.dataflow.saves import Saves, Saving
from anserdb.engine.store import CallRecord, Store
from anserdb.engine.store.records import Outcome, Phase
from anserdb.engine.store.store import INSERT_ANSWER
from anserdb.udfs.models.base import Model, Reply, Request
from anserdb.udfs.models.sending import Sendings

from .support_server import Server, cpu_s

QUERY = "SELECT id, LLM_COMPLETE('Say it in French', body) AS said FROM t"


@dataclass(frozen=True, slots=True)
class _Answer:
    """As much of a record as keeping an answer takes."""

    key: bytes
    model: str
    function: str


class _AnswersOnly:
    """A store that keeps no records."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def save_all(self, saved: Sequence[tuple[_Answer, bytes | None]], ttl_s: float | None = None) -> Future[None]:
        """The answers, in one transaction."""
        del ttl_s
        rows = [(one.key, one.model, one.function, answer or b"", 0.0, 0.0) for one, answer in saved]

        def work(connection: sqlite3.Connection) -> None:
            INSERT_ANSWER.rows(connection, rows, 0.0)

        return self._store.submit(work)


class _Held(Sendings):
    """A call that holds its slot until its answer is kept (ADR 31): that belongs to keeping answers."""

    held = ()


class NoBooks(Meter):
    """Calls, and keeps answers."""

    async def send(self, model: Model, request: Request, key: bytes, phase: Phase) -> Reply:
        """Only the call."""
        del key, phase
        with _Held() as held:
            reply = await model.call(request)
        self._held = held
        return reply

    def record(
        self, key: bytes, phase: Phase, reply: Reply, outcome: Outcome, answer: bytes | None, error: str | None = None
    ) -> Saving:
        """Only the answer."""
        del phase, reply, outcome, error
        record = _Answer(key, self._spec.name, self._progress.function)
        saving = self._answers().save(cast(CallRecord, record), answer)
        saving.after = self._held.release
        return saving

    def _answers(self) -> Saves:
        books = vars(self._run)
        if "answers_only" not in books:
            books["answers_only"] = Saves(cast(Store, _AnswersOnly(self._run.store)))
        return cast(Saves, books["answers_only"])


class NothingKept(NoBooks):
    """Only calls."""

    async def send(self, model: Model, request: Request, key: bytes, phase: Phase) -> Reply:
        """Only the call."""
        del key, phase
        return await model.call(request)

    def record(
        self, key: bytes, phase: Phase, reply: Reply, outcome: Outcome, answer: bytes | None, error: str | None = None
    ) -> Saving:
        """Nothing."""
        del phase, reply, outcome, error
        record = _Answer(key, self._spec.name, self._progress.function)
        saving = Saving(cast(CallRecord, record), answer)
        saving.end(None)
        return saving


@contextmanager
def _no_traces() -> Iterator[None]:
    origin = QueryRun.origin

    def untraced(run: QueryRun, site: str) -> Origin:
        return replace(origin(run, site), traces=None)

    with patch.object(QueryRun, "origin", untraced):
        yield


@contextmanager
def _no_books() -> Iterator[None]:
    with _no_traces(), patch.object(caller, "Meter", NoBooks):
        yield


@contextmanager
def _nothing_kept() -> Iterator[None]:
    with _no_traces(), patch.object(caller, "Meter", NothingKept):
        yield


KINDS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "nothing kept": _nothing_kept,
    "answers": _no_books,
    "answers, books": _no_traces,
    "answers, books, traces": nullcontext,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accounting", description=__doc__)
    parser.add_argument("--calls", type=int, default=2000, help="calls of a query")
    parser.add_argument("--rounds", type=int, default=31, help="runs of each kind, by turns")
    given = parser.parse_args()
    os.environ["SIMULATED_KEY"] = "simulated"
    print(f"{given.calls:,} calls a query, {given.rounds} rounds by turns; the server is SIMULATED (own process)\n")
    with Server(latency_s=0.005, cap=256) as server:
        _measured(server.base_url, given.calls, nullcontext)  # warms up imports and connections
        runs: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for number in range(given.rounds):
            # The first of a round meets another machine than the last: they take turns at that, too.
            for kind in sorted(KINDS, reverse=bool(number % 2)):
                runs[kind].append(_measured(server.base_url, given.calls, KINDS[kind]))
    _print(runs, given.calls)


def _print(runs: dict[str, list[float]], calls: int) -> None:
    for kind, seconds in runs.items():
        each = [1e6 * s / calls for s in seconds]
        print(f"{kind:<23} {median(each):>7.1f} µs of CPU a call (from {min(each):.1f} to {max(each):.1f})")
    print()
    _print_added("The books add", runs["answers, books"], runs["answers"], calls)
    _print_added("Traces add", runs["answers, books, traces"], runs["answers, books"], calls)
    _print_added("Durable answers add", runs["answers"], runs["nothing kept"], calls)


def _print_added(words: str, whole: list[float], part: list[float], calls: int) -> None:
    added = [1e6 * (more - less) / calls for more, less in zip(whole, part, strict=True)]
    low, high = interval_of_median(added)
    a_call = 1e6 * median(whole) / calls
    shares = " to ".join(f"{end / a_call:.1%}" for end in (low, high))
    middle = median(added)
    print(f"{words} {middle:.1f} µs a call (95 % interval {low:.1f} to {high:.1f}): {middle / a_call:.1%} ({shares})")


def interval_of_median(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Of pairs drawn from any distribution, by the binomial distribution of how many lie below its median.

    >>> interval_of_median(range(1, 12))
    (2, 10)
    """
    ordered, n = sorted(values), len(values)
    outside, rank = 0.0, 0
    while rank < n // 2 and outside + comb(n, rank) / 2 ** (n - 1) <= 1 - confidence:
        outside += comb(n, rank) / 2 ** (n - 1)
        rank += 1
    return ordered[max(0, rank - 1)], ordered[n - max(1, rank)]


def _measured(base_url: str, calls: int, kind: Callable[[], AbstractContextManager[None]]) -> float:
    """CPU seconds of one query on a new store."""
    with tempfile.TemporaryDirectory() as folder, kind(), anserdb.connect(store=Path(folder) / "s.anser") as con:
        con.sql(
            f"CREATE MODEL m (PROVIDER openai, MODEL 'simulated', BASE_URL '{base_url}', API_KEY_ENV 'SIMULATED_KEY', "
            "PARAMETERS 8, PRICE_IN 1.0, PRICE_OUT 2.0)"
        )
        con.sql(f"SET llm_model = 'm'; CREATE TABLE t AS SELECT i AS id, 'text ' || i AS body FROM range({calls}) r(i)")
        gc.collect()
        before = cpu_s()
        result = con.sql(QUERY)
        assert result is not None
        rows = result.fetchall()
        used = cpu_s() - before
        _check(con, kind, rows, calls)
    return used


def _check(con: anserdb.Connection, kind: Any, rows: Sequence[Any], calls: int) -> None:
    """A run that asked less, or wrote less than it says, would be measured for nothing."""
    result = con.sql("SELECT count(*) FROM llm_calls()")
    assert result is not None
    recorded = result.fetchall()[0][0]
    assert len(rows) == calls
    assert recorded == (0 if kind in (_no_books, _nothing_kept) else calls), recorded


if __name__ == "__main__":
    main()
