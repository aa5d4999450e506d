"""Several filters over one table, run as one: the server's tokens beside every fixed order, end to end.

``make bench-conjunction``, or ``python -m benchmarks.conjunction --rows 5000 --seeds 5``. The model is SIMULATED (real HTTP on
127.0.0.1, no latency; answers made up with known shares), and so is its bill: the tokens are what the server counted. Every way
runs with de-duplication, the same concurrency and an empty store of its own. Exploration and rows that are asked everything count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random
from statistics import fmean
from typing import Any

import anserdb

from .server import LoopbackServer, Profile
from .support_measure import table

ROWS, SEEDS, CONCURRENCY = 5_000, 5, 64
REGRET, RERUN_CALLS = 1.10, 0
"""Targets, fixed before the first run: tokens as a share of the cheapest fixed order's, mean over seeds; calls of a rerun."""
PRICE_IN, PRICE_OUT = 1.0, 4.0
FIXED = "conjunction, conjunct_order"
BODY = "'ticket number ' || i || '. ' || repeat('word ', 40)"


@dataclass(frozen=True, slots=True)
class Question:
    """A filter. ``mark`` tells it from the others in a prompt; ``share`` of rows is TRUE; ``words`` : how long it is."""

    mark: str
    share: float
    words: int

    def sql(self) -> str:
        """As a condition."""
        return f"LLM_FILTER('{self.mark}{' and so on' * (self.words // 3)}', body)"


@dataclass(frozen=True, slots=True)
class Result:
    """One way of running the query: what the server counted, the rows, and what EXPLAIN ANALYZE would say of the order."""

    tokens: int
    calls: int
    rows: Sequence[Any]
    note: str = ""


def questions(seed: int) -> list[Question]:
    """Three or four: shares and lengths that have nothing to do with each other."""
    dice = Random(seed)
    return [Question(f"mark{i}x{seed}", dice.uniform(0.05, 0.95), dice.randrange(3, 300)) for i in range(3 + seed % 2)]


def passes(one: Question, row: str) -> bool:
    """The truth: by a hash of question and row."""
    number = int.from_bytes(hashlib.blake2b(f"{one.mark} {row}".encode(), digest_size=6).digest(), "big")
    return number / 2**48 < one.share


def said(asked: Sequence[Question], body: dict[str, Any]) -> dict[str, float]:
    """The model's answer: the truth."""
    text = json.dumps(body["messages"])
    one = next(q for q in asked if q.mark in text)
    yes = passes(one, text.partition("ticket number ")[2].partition(".")[0])
    return {"Yes": -0.01, "No": -6.0} if yes else {"Yes": -6.0, "No": -0.01}


class Bench:
    """A server that answers some questions, and a table to ask them about."""

    def __init__(self, asked: Sequence[Question], rows: int) -> None:
        self._asked, self._rows = asked, rows
        profile = Profile("m", price_in=PRICE_IN, price_out=PRICE_OUT)
        self._server = LoopbackServer(profile, answer=lambda body: said(asked, body), keep_bodies=False)

    def __enter__(self) -> Bench:
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)

    def run(self, asked: Sequence[Question], rows: int, disabled: str = "", times: int = 1) -> list[Result]:
        """The conjunction so many times, on a store that is empty at first."""
        return self.ran(" AND ".join(question.sql() for question in asked), rows, disabled, times)

    def ran(self, condition: str, rows: int, disabled: str = "", times: int = 1) -> list[Result]:
        """The same with any condition."""
        query = f"SELECT id FROM t WHERE {condition}"
        with anserdb.connect(store=":memory:", llm_model="m", llm_concurrency=CONCURRENCY) as con:
            options = f"model 'm', base_url '{self._server.base_url}', price_in {PRICE_IN}, price_out {PRICE_OUT}"
            con.sql(f"CREATE MODEL m USING openai ({options})")
            con.sql(f"CREATE TABLE t AS SELECT i AS id, {BODY} AS body FROM range({rows}) r(i)")
            con.settings.assign("llm_disabled_rules", disabled)
            return [self._once(con, query) for _ in range(times)]

    def order(self, order: Sequence[Question], tokens: dict[Question, int]) -> int:
        """Tokens of a fixed order: each row is asked until the answer is no."""
        left, spent = [str(row) for row in range(self._rows)], 0
        for one in order:
            spent += len(left) * tokens[one]
            left = [row for row in left if passes(one, row)]
        return spent

    def tokens(self) -> dict[Question, int]:
        """Of one row, by question, as the server counts them."""
        return {one: self.run([one], 1)[0].tokens for one in self._asked}

    def _once(self, con: anserdb.Connection, query: str) -> Result:
        before, requests = self._counted(), self._server.stats.requests
        result = con.sql(query)
        assert result is not None
        kept = result.fetchall()
        assert result.progress is not None
        notes = [site.notes["order"] for site in result.progress.sites.values() if "order" in site.notes]
        return Result(self._counted() - before, self._server.stats.requests - requests, kept, "; ".join(notes))

    def _counted(self) -> int:
        return self._server.stats.tokens_in + self._server.stats.tokens_out


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one seed: tokens as a share of the cheapest fixed order's."""

    ours: float
    written: float
    worst: float
    rerun_calls: int
    same_rows: bool
    note: str


def measured(seed: int, rows: int) -> Figures:
    """Ours twice and the order as written once, all asked for real; the other orders are sums over the same answers."""
    asked = questions(seed)
    with Bench(asked, rows) as bench:
        tokens = bench.tokens()
        ours, rerun = bench.run(asked, rows, times=2)
        (written,) = bench.run(asked, rows, FIXED)
        orders = [bench.order(order, tokens) for order in permutations(asked)]
        if written.tokens != orders[0]:
            raise AssertionError(f"as written: {written.tokens:,} tokens by the server, {orders[0]:,} by the sums")
        best = min(orders)
        same = ours.rows == written.rows == rerun.rows
        return Figures(ours.tokens / best, written.tokens / best, max(orders) / best, rerun.calls, same, ours.note)


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    chosen = parser.parse_args()
    found = [measured(seed, chosen.rows) for seed in range(chosen.seeds)]
    print(f"SIMULATED model over real HTTP without latency, {chosen.rows:,} rows, 3 or 4 filters, {chosen.seeds} seeds")
    print("Tokens on the server's bill ÷ those of the cheapest fixed order, which is known only in hindsight\n")
    lines = [[f"{n}", f"{f.ours:.3f}", f"{f.written:.3f}", f"{f.worst:.3f}", f.note] for n, f in enumerate(found)]
    print(table(["seed", "ours", "as written", "worst order", "what ours found"], lines))
    ours, calls = fmean(f.ours for f in found), max(f.rerun_calls for f in found)
    print(f"\nours, mean: {ours:.3f}, target {REGRET:.2f}: {_verdict(ours <= REGRET)}")
    print(f"as written, mean: {fmean(f.written for f in found):.3f}")
    print(f"calls of a rerun, most: {calls}, target {RERUN_CALLS}: {_verdict(calls <= RERUN_CALLS)}")
    print(f"the rows of the order as written: {_verdict(all(f.same_rows for f in found))}")


def _verdict(met: bool) -> str:
    return "reached" if met else "MISSED"


if __name__ == "__main__":
    main()
