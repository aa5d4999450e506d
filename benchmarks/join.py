"""Semantic joins that ask less beside the nested loop, on entity data: calls, tokens and recall, everything counted.

``make bench-join``. Judges are RULE-MADE from the labels of the data. First whole queries: real operators and prompts over HTTP
to a SIMULATED server (see ``join_sql``). Then the algorithms alone, on more seeds, with tokens by formula. Tokens are estimated
by 4 characters. The nested loop asks each distinct pair once; concurrency changes neither calls nor tokens. The thresholds for
calls and recall stood here before any run; that tokens have to meet the first as well was added after the first full run, which
many pairs a prompt would have passed by calls alone. Methods were developed on seeds 0 and 1,
which are not among those reported.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean

import numpy as np

from anserdb.engine.physical.joining.block_join import Said, block_join
from anserdb.engine.physical.joining.block_size import Sizes, block_rows
from anserdb.engine.physical.joining.blocking import Blocked, Ints, Phase, blocked
from anserdb.engine.physical.joining.sweep import Sweep, swept

from .join_sql import JUDGES, MAIN, Overlooks, nested_tokens, run_sql
from .join_world import BLOCK_RULE, CHARACTERS_A_TOKEN, DATA, ID_TOKENS, LISTED_TOKENS, Bill, World, block_answer, world
from .support_measure import table

SEEDS, FEW_SEEDS, FIRST = 20, 4, 2
FEWER, POINTS = 15.0, 0.02
"""Targets: so many times fewer calls than the nested loop, and fewer tokens, at a recall at most so much below its."""
RECALL, LOWER, DELTA = 0.9, 0.8, 0.05
"""What has to be proved, with which probability of being wrong."""
OVERLOOKED = 0.01
"""Share of matches that a judge which overlooks some does not see, for each 100 pairs of a block."""
CONTEXT, MOST_PAIRS = 8_000.0, 400
SETTINGS = (
    ("fodors_zagats", 100),
    ("fodors_zagats", 200),
    ("beer", 100),
    ("beer", 250),
    ("abt_buy", 100),
    ("abt_buy", 500),
)
LARGE = 200_000
"""Of so many pairs, SQL runs take fewer seeds: the nested loop's rows have to be made all the same."""
NOISE = {"as the labels say": (0.0, 0.0), "denies 5 % of matches, invents 0.01 % of other pairs": (0.05, 0.0001)}


@dataclass(frozen=True, slots=True)
class Run:
    """One method on one world: how many times fewer calls and tokens than the nested loop, and what was found.

    Parameters
    ----------
    recall, reference : share of the labelled matches that this and the nested loop found.
    of_said : share of the pairs that the judge calls matches. proved : what the method says of that.
    """

    calls: float
    tokens: float
    recall: float
    reference: float
    of_said: float
    proved: float


def seen(one: World, bill: Bill, pairs: Iterable[tuple[int, int]], proved: float) -> Run:
    """What a method's pairs and bill are worth."""
    found = frozenset(pairs)
    calls = len(set(one.lefts)) * len(set(one.rights))
    tokens = nested_tokens(tuple(sorted(set(one.lefts))), tuple(sorted(set(one.rights))))
    return Run(
        calls / bill.calls,
        tokens / bill.tokens,
        len(found & one.gold) / len(one.gold),
        len(one.said & one.gold) / len(one.gold),
        len(found & one.said) / len(one.said),
        proved,
    )


class Asked:
    """A judge over a world that keeps the books, of pairs alone and of blocks."""

    def __init__(self, one: World, overlooked: float) -> None:
        self.one, self.overlooked = one, overlooked
        self.bill = Bill()
        self.chunk = max(len(one.lefts), len(one.rights)) // 2
        left, right = (mean(map(len, side)) / CHARACTERS_A_TOKEN + ID_TOKENS for side in (one.lefts, one.rights))
        self.sizes = Sizes(BLOCK_RULE, left, right, LISTED_TOKENS, CONTEXT)

    async def judge(self, pairs: Ints, phase: Phase) -> list[bool | None]:
        """Pairs by number."""
        del phase
        places = self.places(pairs.tolist())
        self.bill.pairs([(self.one.lefts[a], self.one.rights[b]) for a, b in places])
        return [place in self.one.said for place in places]

    async def sweep(self, number: int) -> list[int]:
        """All pairs of all rows, in blocks: the numbers of those that are called matches."""
        chance, rows = np.random.default_rng(number), (len(self.one.lefts), len(self.one.rights))
        lefts, rights = ([int(row) for row in chance.permutation(count)] for count in rows)

        async def block(some: Sequence[int], columns: Sequence[int]) -> Said:
            said = block_answer(self.one, some, columns, self.overlooked, (lefts, rights))
            self.bill.block(
                [self.one.lefts[lefts[i]] for i in some], [self.one.rights[rights[i]] for i in columns], said
            )
            return said

        async def named(left: int, right: int) -> bool:
            return bool(left + 1 and right + 1)

        found = await block_join(*rows, self.sizes, block, named, most_pairs=MOST_PAIRS)
        return [lefts[left] * rows[1] + rights[right] for left, right in found.pairs]

    @property
    def price(self) -> float:
        """Of a sweep, in pairs alone."""
        rows = len(self.one.lefts), len(self.one.rights)
        left, right = block_rows(rows, self.sizes, 0.0, MOST_PAIRS)
        return -(-rows[0] // left) * -(-rows[1] // right) * self.sizes.of(left, right, 0.0) / self.pair_tokens

    @property
    def pair_tokens(self) -> float:
        """Of a pair alone."""
        alone = Bill()
        alone.pairs([(self.one.lefts[0], self.one.rights[0])])
        return alone.tokens

    def places(self, pairs: Iterable[int]) -> list[tuple[int, int]]:
        """Rows of pairs."""
        return [divmod(pair, len(self.one.rights)) for pair in pairs]


def by_sample(one: World, seed: int, recall: float) -> Run:
    """Candidates and a sample of the rest."""
    asked = Asked(one, 0.0)
    found = asyncio.run(blocked(one.scores, asked.judge, chunk=asked.chunk, recall=recall, delta=DELTA, seed=seed))
    return _run(asked, found)


def by_sweep(one: World, seed: int, overlooked: float) -> Run:
    """Candidates, and all in blocks, or a sample where that is cheaper."""
    asked = Asked(one, overlooked)
    sweep = Sweep(asked.sweep, asked.price)
    found = asyncio.run(swept(one.scores, asked.judge, sweep, chunk=asked.chunk, recall=RECALL, delta=DELTA, seed=seed))
    return _run(asked, found)


def by_sql(one: World, seed: int, overlooks: Overlooks) -> Run:
    """The query."""
    del seed
    found = run_sql(one, overlooks, RECALL)
    return seen(one, Bill(found.calls, found.tokens), found.pairs, found.proved)


def _run(asked: Asked, found: Blocked) -> Run:
    pairs = asked.places(pair for pair, yes in enumerate(found.answers) if yes)
    return seen(asked.one, asked.bill, pairs, found.recall)


Method = Callable[[World, int], Run]
METHODS: dict[str, Method] = {
    "a sample (as before blocks)": partial(by_sample, recall=RECALL),
    f"a sample, {LOWER:.0%} to be proved": partial(by_sample, recall=LOWER),
    "blocks": partial(by_sweep, overlooked=0.0),
    f"blocks, overlooks {OVERLOOKED:.0%}": partial(by_sweep, overlooked=OVERLOOKED),
    f"blocks, overlooks {5 * OVERLOOKED:.0%}": partial(by_sweep, overlooked=5 * OVERLOOKED),
}
SQL_METHODS: dict[str, Method] = {name: partial(by_sql, overlooks=overlooks) for name, overlooks in JUDGES.items()}


def is_met(runs: Sequence[Run]) -> bool:
    """The target, by the means. Tokens count as well: many pairs in a prompt are fewer calls, but hardly less work."""
    fewer = min(mean(run.calls for run in runs), mean(run.tokens for run in runs))
    return fewer >= FEWER and mean(run.reference - run.recall for run in runs) <= POINTS


def line(name: str, rows: str, method: str, runs: Sequence[Run]) -> list[str]:
    """A line of the table."""
    return [
        name,
        rows,
        method,
        str(len(runs)),
        f"{mean(run.calls for run in runs):.1f} ({min(run.calls for run in runs):.1f})",
        f"{mean(run.tokens for run in runs):.1f}",
        f"{mean(run.recall for run in runs):.3f} ({mean(run.reference for run in runs):.3f})",
        f"{min(run.of_said for run in runs):.3f}",
        f"{mean(run.proved for run in runs):.3f}",
        "met" if is_met(runs) else "MISSED",
    ]


HEAD = [
    "data", "pairs", "method", "seeds", "calls: times fewer (worst)", "tokens: times fewer", "recall (nested loop)",
    "of the judge's matches, least", "proved", "target",
]  # fmt: skip


def report(methods: dict[str, Method], noise: tuple[float, float], seeds: Callable[[str, int], int]) -> None:
    """A table, whether targets are met, and whether what was proved is true; ``seeds`` : of a method, for so many pairs."""
    lines: list[list[str]] = []
    met: dict[str, list[bool]] = {name: [] for name in methods}
    wrong: dict[str, list[bool]] = {name: [] for name in methods}
    for name, rows in SETTINGS:
        most = max(seeds(title, rows * rows) for title in methods)
        worlds = [world(name, rows, seed, *noise) for seed in range(FIRST, FIRST + most)]
        for title, method in methods.items():
            runs = [method(one, seed) for seed, one in enumerate(worlds[: seeds(title, rows * rows)], FIRST)]
            lines.append(line(name, f"{len(worlds[0].lefts)}×{len(worlds[0].rights)}", title, runs))
            met[title].append(is_met(runs))
            wrong[title] += [run.of_said < run.proved for run in runs]
    print(table(HEAD, lines) + "\n")
    for title in methods:
        said = f"proofs that were wrong: {sum(wrong[title])} of {len(wrong[title])}"
        print(f"  {title}: {sum(met[title])} of {len(met[title])} targets met; {said}")


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    if not DATA.is_dir():
        print("The entity data (shared/data/er) is not here: nothing was measured.")
        return
    start = time.perf_counter()
    print(
        f"RULE-MADE judges from labelled matches; each seed draws the rows anew; everything asked counts. Target: calls and tokens ≥ {FEWER:g} times "
        f"fewer than the nested loop at recall ≥ its − {POINTS:g}. Recall ≥ {RECALL:g} has to be proved (δ = {DELTA:g}).\n\n## SQL over HTTP, SIMULATED server\n"
    )
    few = min(FEW_SEEDS, given.seeds)
    report(
        SQL_METHODS,
        (0.0, 0.0),
        lambda title, pairs: (given.seeds if pairs < LARGE else few) if title == MAIN else few if pairs < LARGE else 1,
    )
    print(f"\n{time.perf_counter() - start:.0f} s", flush=True)
    for title, noise in NOISE.items():
        print(f"\n## Algorithms alone, the judge: {title}\n")
        report(METHODS, noise, lambda _, __: given.seeds)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
