"""A join of documents with labels, asked as a classification where that proves itself, beside all pairs alone.

``make bench-join-rewrites``, or ``python -m benchmarks.join_rewrites --seeds 5``. The server is SIMULATED (in this process, a word
is a token), and so are its judge's errors; plans, prompts and comparisons are the library's own, and the figures are of the
server's bill. Every way has de-duplication, the cache (empty), and 64 calls at once; comparisons and audits count. The reference
is the judge itself, asked about every pair: for the first seed in truth, for the others by the same sums, because their prompts
have as many words. Targets were fixed before the first run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from statistics import fmean
from typing import Any

import anserdb

from .server import Profile
from .server.asked import asked_schema, user_text
from .server.in_process import InProcessModel
from .support_measure import table

LABELS, WORDS, SEEDS = 20, 60, 20
QUALITY, MATCHES = 0.9, 0.06
FEWER, CHEAPER, HARM, MISSES = 4.0, 3.0, 1.1, 1
"""Calls and money, at least so many times less, where the judge in company is as alone; at most so much of all pairs' money where
it is not; and seeds of twenty in which F1 may be below the quality that was asked for."""
PRICE_IN, PRICE_OUT = 1.0, 4.0
JOIN = "SELECT d.id, l.id FROM docs d JOIN labels l ON LLM_FILTER('document {0} is about {1}', d.body, l.name)"
OFF = "arms, join_classification, join_keys"


@dataclass(frozen=True, slots=True)
class World:
    """``drops`` : share of matches that are overlooked in company. ``invents`` : share of other pairs that are named there."""

    documents: int

    name: str
    drops: float
    invents: float
    pays: bool


WORLDS = (
    World(1500, "nearly as alone", 0.02, 0.001, pays=True),
    World(1500, "naming too much", 0.01, 0.05, pays=True),
    World(300, "overlooking much", 0.4, 0.01, pays=False),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One query by the server's bill, and its rows."""

    calls: int
    usd: float
    rows: frozenset[tuple[Any, ...]]

    def f1(self, reference: Run) -> float:
        """Of its rows, against those of another."""
        return 2 * len(self.rows & reference.rows) / max(1, len(self.rows) + len(reference.rows))


def chance(seed: int, *words: object) -> float:
    """By hash, 0 to 1."""
    return int.from_bytes(hashlib.blake2b(repr((seed, words)).encode(), digest_size=6).digest(), "big") / 2**48


def matches(seed: int, document: str, label: str) -> bool:
    """What the judge says of a pair alone."""
    return chance(seed, document, label) < MATCHES


def named(world: World, seed: int, document: str, label: str) -> bool:
    """What it says of a pair in company."""
    if matches(seed, document, label):
        return chance(seed, "drops", document, label) >= world.drops
    return chance(seed, "invents", document, label) < world.invents


def said(world: World, seed: int, body: dict[str, Any]) -> Any:
    """The answer to a question about a pair, about all labels, or about a block of pairs."""
    text, asked = user_text(body), (asked_schema(body) or {}).get("properties", {})
    documents, labels = re.findall(r"doc\d+", text), re.findall(r"topic\d+", text)
    if "matches" in asked:
        places = [place for place, label in enumerate(labels, 1) if named(world, seed, documents[0], label)]
        return json.dumps({"matches": [f"c{place}" for place in places]})
    if "pairs" in asked:
        items = re.findall(r"^(\w+):\n  \w+: (?:(doc\d+)|(topic\d+))", text, re.MULTILINE)
        sides = [(name, d) for name, d, _ in items if d], [(name, t) for name, _, t in items if t]
        first = items[0][1] != ""
        found = [(x, y) for x, d in sides[0] for y, t in sides[1] if named(world, seed, d, t)]
        return json.dumps({"pairs": [{"a": x if first else y, "b": y if first else x} for x, y in found]})
    if not documents:  # calibration: inputs that say nothing
        return {"Yes": -0.7, "No": -0.7}
    return {"Yes": -0.01, "No": -6.0} if matches(seed, documents[0], labels[0]) else {"Yes": -6.0, "No": -0.01}


def query(world: World, seed: int, quality: float | None, disabled: str = "arms, join_keys") -> Run:
    """One run on a store of its own."""
    profile = Profile("m", price_in=PRICE_IN, price_out=PRICE_OUT)
    model = InProcessModel(profile, answer=partial(said, world, seed))
    with anserdb.connect(store=":memory:", llm_model="m", llm_concurrency=64) as con:
        con.register_model("m", model)
        con.sql(
            f"CREATE TABLE docs AS SELECT i AS id, 'doc' || i || repeat(' word', {WORDS}) AS body FROM range({world.documents}) r(i)"
        )
        con.sql(f"CREATE TABLE labels AS SELECT i AS id, 'topic' || i AS name FROM range({LABELS}) r(i)")
        con.settings.assign("llm_disabled_rules", disabled)
        con.settings.assign("llm_min_quality", quality)
        result = con.sql(JOIN)
        assert result is not None
        rows = frozenset(result.fetchall())
        total = model.bill.total
        return Run(total.answered, float(profile.usd(total.tokens_in, total.tokens_cached, total.tokens_out)), rows)


@cache
def pair_by_pair(documents: int, seed: int) -> Run:
    """The plan as written, asked in truth; no question is about more than a pair, so it is the same in every world."""
    return query(replace(WORLDS[0], documents=documents), seed, None)


def all_pairs(world: World, seeds: Sequence[int]) -> list[Run]:
    """The plan as written, per seed."""
    first = pair_by_pair(world.documents, seeds[0])
    made = [
        Run(
            first.calls,
            first.usd,
            frozenset(
                (i, k) for i in range(world.documents) for k in range(LABELS) if matches(s, f"doc{i}", f"topic{k}")
            ),
        )
        for s in seeds
    ]
    if made[0] != first:
        raise AssertionError("The sums are not what was asked.")
    return made


def line(way: str, runs: Sequence[Run], every: Sequence[Run]) -> list[str]:
    """Means over seeds, as ratios to all pairs; and the worst seed in F1."""
    pairs = list(zip(runs, every, strict=False))
    calls, usd = fmean(e.calls / r.calls for r, e in pairs), fmean(e.usd / r.usd for r, e in pairs)
    f1 = [r.f1(e) for r, e in pairs]
    below = sum(x < QUALITY for x in f1)
    return [way, f"{calls:.2f}x", f"{usd:.2f}x", f"{fmean(f1):.3f}", f"{min(f1):.3f}", f"{below} of {len(f1)}"]


def verdict(world: World, runs: Sequence[Run], every: Sequence[Run]) -> str:
    """Whether the world's targets are met."""
    pairs = list(zip(runs, every, strict=True))
    calls, usd = fmean(e.calls / r.calls for r, e in pairs), fmean(e.usd / r.usd for r, e in pairs)
    fair = sum(r.f1(e) < QUALITY for r, e in pairs) <= MISSES * len(pairs) / SEEDS
    goal = f"calls ≥ {FEWER:g}x fewer, money ≥ {CHEAPER:g}x less" if world.pays else f"money ≤ {HARM:g} of all pairs"
    good = (calls >= FEWER and usd >= CHEAPER) if world.pays else 1 / usd <= HARM
    return f"{goal}: {'met' if good else 'MISSED'}; F1 ≥ {QUALITY:g} in 19 of 20 seeds: {'met' if fair else 'MISSED'}"


def main() -> None:
    """Print it all."""
    parser = argparse.ArgumentParser(description="Joins as classifications beside all pairs.")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = range(parser.parse_args().seeds)
    start = time.perf_counter()
    print(f"SIMULATED server and judge; {LABELS} labels, {len(seeds)} seeds, llm_min_quality = {QUALITY}")
    head = ["beside all pairs", "calls", "money", "F1", "worst", f"F1 < {QUALITY:g}"]
    for world in WORLDS:
        every = all_pairs(world, seeds)
        ours = [query(world, seed, QUALITY) for seed in seeds]
        without = [query(world, seeds[0], QUALITY, OFF)] if world is WORLDS[0] else []
        print(f"\n## In company the judge is {world.name}; {world.documents:,} documents\n")
        rows = [line("as a classification", ours, every)]
        rows += [line("without the rule (1 seed)", without, every)] if without else []
        print(table(head, rows))
        print(verdict(world, ours, every))
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
