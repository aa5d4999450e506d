"""Semantic joins that ask less beside the nested loop, on entity data: calls, tokens and recall, everything counted.

``make bench-join``. The judge is RULE-MADE: it says of a pair what the labels of the data say (with noise where that is
written), in company as alone unless "overlooks" is written (1 % of matches for each 100 pairs of a block). Tokens are estimated
by 4 characters. The nested loop asks each distinct pair once; concurrency changes neither calls nor tokens. The thresholds for
calls and recall stood here before any run; that tokens have to meet the first as well was added after the first full run, which
many pairs a prompt would have passed by calls alone. Methods were developed on seed 0, which is not among those reported.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

from anserdb.engine.physical.joining.block_join import Said, block_join
from anserdb.engine.physical.joining.block_size import Sizes
from anserdb.engine.physical.joining.blocking import Ints, Phase, blocked
from anserdb.engine.physical.joining.sweep import swept

from .join_world import BLOCK_RULE, CHARACTERS_A_TOKEN, DATA, ID_TOKENS, LISTED_TOKENS, Bill, World, block_answer, world
from .support_measure import table

SEEDS = 20
FEWER, POINTS = 15.0, 0.02
"""Targets: so many times fewer calls than the nested loop, and fewer tokens, at a recall at most so much below its."""
RECALL, LOWER, DELTA = 0.9, 0.8, 0.05
"""What has to be proved, with which probability of being wrong."""
OVERLOOKED = 0.01
"""Share of matches that a judge which overlooks some does not see, for each 100 pairs of a block."""
TOGETHER = 16
CONTEXT, MOST_PAIRS = 8_000.0, 400
SETTINGS = (
    ("fodors_zagats", 100),
    ("fodors_zagats", 200),
    ("beer", 100),
    ("beer", 250),
    ("abt_buy", 100),
    ("abt_buy", 500),
)
JUDGES = {"as the labels say": (0.0, 0.0), "denies 5 % of matches, invents 0.01 % of other pairs": (0.05, 0.0001)}


@dataclass(frozen=True, slots=True)
class Run:
    """One method on one world: how many times fewer calls and tokens than the nested loop, and what was found.

    Parameters
    ----------
    recall, reference : share of the labelled matches that this and the nested loop found.
    of_said : share of the pairs that the judge calls matches. proved : what the method says of that (``None``: nothing).
    """

    calls: float
    tokens: float
    recall: float
    reference: float
    of_said: float
    proved: float | None


class Asked:
    """A judge over a world that keeps the books, of pairs alone and of blocks."""

    def __init__(self, one: World, together: int = 1, overlooked: float = 0.0) -> None:
        self.one, self._together, self._overlooked = one, together, overlooked
        self.bill = Bill()
        self.scores = one.scores
        self.chunk = max(len(one.lefts), len(one.rights))

    async def judge(self, pairs: Ints, phase: Phase) -> list[bool | None]:
        """Pairs by number."""
        del phase
        places = self.places(pairs.tolist())
        for start in range(0, len(places), self._together):
            self.bill.pairs(
                [(self.one.lefts[a], self.one.rights[b]) for a, b in places[start : start + self._together]]
            )
        return [place in self.one.said for place in places]

    async def pair(self, left: int, right: int) -> bool:
        """One pair."""
        self.bill.pairs([(self.one.lefts[left], self.one.rights[right])])
        return (left, right) in self.one.said

    async def block(self, lefts: Sequence[int], rights: Sequence[int]) -> Said:
        """All pairs of some rows."""
        said = block_answer(self.one, lefts, rights, self._overlooked)
        self.bill.block([self.one.lefts[i] for i in lefts], [self.one.rights[i] for i in rights], said)
        return said

    async def sweep(self) -> list[int]:
        """All pairs of all rows, in blocks: the numbers of those that are called matches."""
        left, right = (
            mean(map(len, side)) / CHARACTERS_A_TOKEN + ID_TOKENS for side in (self.one.lefts, self.one.rights)
        )
        sizes = Sizes(BLOCK_RULE, left, right, LISTED_TOKENS, CONTEXT)
        rows = len(self.one.lefts), len(self.one.rights)
        found = await block_join(*rows, sizes, self.block, self.pair, most_pairs=MOST_PAIRS)
        return [left * len(self.one.rights) + right for left, right in found.pairs]

    def places(self, pairs: Iterable[int]) -> list[tuple[int, int]]:
        """Rows of pairs."""
        return [divmod(pair, len(self.one.rights)) for pair in pairs]


async def by_blocking(asked: Asked, seed: int, recall: float) -> tuple[list[int], float | None]:
    """Candidates and a sample of the rest."""
    found = await blocked(asked.scores, asked.judge, chunk=asked.chunk, recall=recall, delta=DELTA, seed=seed)
    return [pair for pair, yes in enumerate(found.answers) if yes], found.recall


async def by_sweep(asked: Asked) -> tuple[list[int], float | None]:
    """Candidates, and all in blocks."""
    found = await swept(asked.scores, asked.judge, asked.sweep, chunk=asked.chunk, recall=RECALL, delta=DELTA)
    return [pair for pair, yes in enumerate(found.answers) if yes], found.recall


async def by_blocks(asked: Asked) -> tuple[list[int], float | None]:
    """All in blocks, and that is it."""
    return await asked.sweep(), None


Method = Callable[[World, int], tuple[Asked, Awaitable[tuple[list[int], float | None]]]]


def _method(way: Callable[..., Awaitable[tuple[list[int], float | None]]], together: int = 1, overlooked: float = 0.0, recall: float | None = None) -> Method:  # fmt: skip
    def method(one: World, seed: int) -> tuple[Asked, Awaitable[tuple[list[int], float | None]]]:
        asked = Asked(one, together, overlooked)
        return asked, way(asked) if recall is None else way(asked, seed, recall)

    return method


METHODS: dict[str, Method] = {
    "blocking": _method(by_blocking, recall=RECALL),
    f"blocking, {LOWER:.0%} to be proved": _method(by_blocking, recall=LOWER),
    f"blocking, {TOGETHER} pairs a prompt": _method(by_blocking, TOGETHER, recall=RECALL),
    "likely alone, all in blocks": _method(by_sweep),
    "the same, overlooks": _method(by_sweep, overlooked=OVERLOOKED),
    "blocks only": _method(by_blocks),
    "blocks only, overlooks": _method(by_blocks, overlooked=OVERLOOKED),
}


def nested_loop(one: World) -> Bill:
    """Every distinct pair in a prompt of its own."""
    lefts, rights = set(one.lefts), set(one.rights)
    bill = Bill()
    bill.pairs([("", "")])
    letters = sum(map(len, lefts)) * len(rights) + sum(map(len, rights)) * len(lefts)
    count = len(lefts) * len(rights)
    return Bill(count, bill.tokens * count + letters / CHARACTERS_A_TOKEN)


def run(method: Method, one: World, loop: Bill, seed: int) -> Run:
    """One method on one world."""
    asked, result = method(one, seed)
    numbers, proved = asyncio.run(_result(result))
    pairs = set(asked.places(numbers))
    return Run(
        loop.calls / asked.bill.calls,
        loop.tokens / asked.bill.tokens,
        len(pairs & one.gold) / len(one.gold),
        len(one.said & one.gold) / len(one.gold),
        len(pairs & one.said) / len(one.said),
        proved,
    )


async def _result(result: Awaitable[tuple[list[int], float | None]]) -> tuple[list[int], float | None]:
    return await result


def is_met(runs: Sequence[Run]) -> bool:
    """The target, by the means. Tokens count as well: many pairs in a prompt are fewer calls, but hardly less work."""
    fewer = min(mean(run.calls for run in runs), mean(run.tokens for run in runs))
    return fewer >= FEWER and mean(run.reference - run.recall for run in runs) <= POINTS


def line(name: str, rows: str, method: str, runs: Sequence[Run]) -> list[str]:
    """A line of the table."""
    proved = [run.proved for run in runs if run.proved is not None]
    return [
        name,
        rows,
        method,
        f"{mean(run.calls for run in runs):.1f} ({min(run.calls for run in runs):.1f})",
        f"{mean(run.tokens for run in runs):.1f}",
        f"{mean(run.recall for run in runs):.3f} ({mean(run.reference for run in runs):.3f})",
        f"{min(run.of_said for run in runs):.3f}",
        f"{mean(proved):.3f}" if proved else "nothing",
        "met" if is_met(runs) else "MISSED",
    ]


HEAD = [
    "data", "pairs", "method", "calls: times fewer (worst)", "tokens: times fewer", "recall (nested loop)",
    "of the judge's matches, least", "proved", "target",
]  # fmt: skip


def report(missed: float, invented: float, seeds: int) -> None:
    """One judge: the table, whether targets are met, and whether what was proved is true."""
    lines: list[list[str]] = []
    met: dict[str, list[bool]] = {name: [] for name in METHODS}
    wrong: dict[str, list[bool]] = {name: [] for name in METHODS}
    for name, rows in SETTINGS:
        numbers = range(1, seeds + 1)
        worlds = [world(name, rows, seed, missed, invented) for seed in numbers]
        loops = [nested_loop(one) for one in worlds]
        for title, method in METHODS.items():
            runs = [run(method, *each) for each in zip(worlds, loops, numbers, strict=True)]
            lines.append(line(name, f"{len(worlds[0].lefts)}×{len(worlds[0].rights)}", title, runs))
            met[title].append(is_met(runs))
            wrong[title] += [r.of_said < r.proved for r in runs if r.proved is not None]
    print(table(HEAD, lines) + "\n")
    for title in METHODS:
        said = f"; proofs that were wrong: {sum(wrong[title])} of {len(wrong[title])}" if wrong[title] else ""
        print(f"  {title}: {sum(met[title])} of {len(met[title])} targets met{said}")


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    if not DATA.is_dir():
        print("The entity data (shared/data/er) is not here: nothing was measured.")
        return
    start = time.perf_counter()
    print(
        f"RULE-MADE judge from labelled matches; {seeds} seeds (rows drawn anew); sampling counts. Target: calls and tokens ≥ {FEWER:g} times fewer "
        f"than the nested loop at recall ≥ its − {POINTS:g}. Recall ≥ {RECALL:g} has to be proved (δ = {DELTA:g}); by chance alone that takes a "
        "sample of 1 − δ^(1/m) of all pairs where m matches may be lost, whatever the method: with 100 matches 24 %, with 400, 7 %."
    )
    for title, (missed, invented) in JUDGES.items():
        print(f"\n## The judge: {title}\n")
        report(missed, invented, seeds)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
