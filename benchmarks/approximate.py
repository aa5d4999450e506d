"""Counts, sums and averages from a sample, beside the same queries asked about every row, end to end.

``make bench-approximate``, or ``python -m benchmarks.approximate --rows 3000 --seeds 20``. The model is SIMULATED: it answers in this
process at once, by a hash with a known share of TRUE. The baseline is the exact query with de-duplication and full concurrency
on an empty store; every way has an empty store. "hindsight" is what a sample of one look needs whose size was chosen by somebody who
knows the share of TRUE and trusts a normal distribution (z = 1.96, finite population): the sequential sample pays for not knowing.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from functools import cache
from statistics import fmean

import anserdb
from anserdb.udfs.models.base import Capabilities, Generate, Reply, Request, Usage

from .support_measure import table

ROWS, SEEDS, CONCURRENCY = 3_000, 20, 64
COVERED = 0.95
"""Share of intervals that hold the exact number, at least, over all ways and seeds; and of estimates that are as close as asked for."""
CALLS = {(0.5, 0.1): 0.30, (0.5, 0.05): 0.60, (0.1, 0.2): 0.50}
"""By share of TRUE and accuracy: calls as a share of the exact query's, at most (fixed before the engine ran)."""
COUNT = "SELECT count(*) FROM t WHERE LLM_FILTER('is it so', body)"
NUMBERS = "SELECT avg(x), sum(x) FROM t WHERE LLM_FILTER('is it so', body)"


class Oracle:
    """Says Yes to a share of all texts. It counts its calls."""

    identity = "simulated"

    def __init__(self, share: float, seed: int) -> None:
        self.capabilities = Capabilities(choice_scores=False, local=True, concurrency=CONCURRENCY)
        self.calls = 0
        self._share, self._seed = share, seed

    async def call(self, request: Request) -> Reply:
        """Answer by hash."""
        assert isinstance(request, Generate)
        self.calls += 1
        digest = hashlib.blake2b(f"{self._seed} {request.user}".encode(), digest_size=6).digest()
        yes = int.from_bytes(digest, "big") / 2**48 < self._share
        return Reply("Yes" if yes else "No", usage=Usage(64, 1))

    async def close(self) -> None:
        """Nothing to free."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a query gave and took; ``intervals`` of an estimate."""

    numbers: tuple[float, ...]
    calls: int
    intervals: tuple[tuple[float, float], ...] = ()


def ran(query: str, share: float, seed: int, rows: int, accuracy: float | None) -> Ran:
    """The query on an empty store; ``accuracy`` ``None``: exactly."""
    oracle = Oracle(share, seed)
    with anserdb.connect(store=":memory:", llm_model="m") as con:
        con.register_model("m", oracle)
        con.sql(
            f"CREATE TABLE t AS SELECT 'number ' || i AS body, 20 + hash(i * 31 + {seed}) % 100 AS x FROM range({rows}) r(i)"
        )
        con.settings.assign("llm_approximate", accuracy)
        result = con.sql(query)
        assert result is not None
        (numbers,) = result.fetchall()
        told = con.sql("SELECT low, high FROM llm_estimates()")
        assert told is not None
        intervals = tuple((low, high) for low, high in told.fetchall())
    found = tuple(float(number) for number in numbers)
    return Ran(found, oracle.calls, intervals or tuple((number, number) for number in found))


@cache
def exactly(query: str, share: float, seed: int, rows: int) -> Ran:
    """The baseline."""
    return ran(query, share, seed, rows, None)


def hindsight(share: float, rows: int, accuracy: float) -> float:
    """Rows of a sample whose size was chosen knowing the share, as a share of all."""
    needed = (1.96 / accuracy) ** 2 * (1 - share) / share
    return needed / (needed + rows)


@dataclass(frozen=True, slots=True)
class Figures:
    """One way, over seeds."""

    calls: float
    covered: float
    close: float


def measured(query: str, share: float, accuracy: float, rows: int, seeds: int) -> Figures:
    """Estimates beside exact results."""
    calls, covered, close = [], [], []
    for seed in range(seeds):
        exact, ours = exactly(query, share, seed, rows), ran(query, share, seed, rows, accuracy)
        calls.append(ours.calls / exact.calls)
        for truth, number, (low, high) in zip(exact.numbers, ours.numbers, ours.intervals, strict=True):
            covered.append(low - 1e-6 <= truth <= high + 1e-6)
            close.append(abs(number - truth) <= accuracy * abs(number) + 0.5)
    return Figures(fmean(calls), fmean(covered), fmean(close))


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    chosen = parser.parse_args()
    print(
        f"SIMULATED model in this process, {chosen.rows:,} rows, {chosen.seeds} seeds; calls ÷ those of the exact query\n"
    )
    cases = [(COUNT, share, accuracy) for share, accuracy in CALLS] + [(NUMBERS, 0.5, 0.1)]
    found = [(case, measured(*case, chosen.rows, chosen.seeds)) for case in cases]
    lines = [
        [
            "count(*)" if query == COUNT else "avg(x), sum(x)",
            f"{share:.0%}",
            f"± {accuracy:.0%}",
            f"{f.calls:.3f}",
            f"{hindsight(share, chosen.rows, accuracy):.3f}" if query == COUNT else "",
            f"{f.covered:.1%}",
            f"{f.close:.1%}",
        ]
        for (query, share, accuracy), f in found
    ]
    print(table(["query", "TRUE", "asked for", "calls", "hindsight", "in the interval", "as close as asked"], lines))
    print()
    for (query, share, accuracy), f in found:
        if query == COUNT:
            most = CALLS[share, accuracy]
            print(
                f"calls at {share:.0%} TRUE, ± {accuracy:.0%}: {f.calls:.3f}, target {most:.2f}: {_verdict(f.calls <= most)}"
            )
    covered, close = (fmean(shares) for shares in zip(*((f.covered, f.close) for _, f in found), strict=True))
    print(f"intervals that hold, mean: {covered:.1%}, target {COVERED:.0%}: {_verdict(covered >= COVERED)}")
    print(f"estimates as close as asked, mean: {close:.1%}, target {COVERED:.0%}: {_verdict(close >= COVERED)}")


def _verdict(met: bool) -> str:
    return "reached" if met else "MISSED"


if __name__ == "__main__":
    main()
