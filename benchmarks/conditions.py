"""Conditions of AND, OR and NOT, decided by branches that are learnt while they are asked, beside ways that know more or less.

``make bench-conditions``. First SIMULATED predicates: answers and token counts are made up with known shares, costs and
correlations; no model is asked. Then the engine against a SIMULATED model over real HTTP, whose server counts the tokens; what
is asked of equal inputs is asked once in every way. All tokens count, those of exploration and of rows asked everything too.
The best order and the best branches are those of hindsight, found on the very rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from anserdb.optimizer.ordering.adaptive import AdaptiveOrder
from anserdb.optimizer.ordering.branches import DONE, Branches
from anserdb.optimizer.ordering.predicate import Predicate
from anserdb.optimizer.ordering.trees import Junction, Leaf, Not, Tree

from .conjunction import Bench, Question, questions
from .ordering import learnt, spread, verdict
from .support_measure import table
from .support_ordering import Latent, World, correlated, independent, twins, world

ROWS, SEEDS, SERVED_ROWS, SERVED_SEEDS = 3_000, 24, 2_000, 4
AGAINST_ORDER, AGAINST_ALL = 1.10, 0.80
"""Targets, fixed before the first run: mean tokens as a share of the best fixed order's, and of those of asking everything."""
WORLDS: dict[str, Latent] = {"independent": independent, "correlated": correlated, "near copies": twins}
SHAPES = (
    "{0} OR {1} OR {2}",
    "({0} OR {1}) AND {2}",
    "({0} AND {1}) OR NOT {2} OR {3}",
    "NOT ({0} AND {1}) AND ({2} OR {3})",
)


def tree_of(places: Sequence[int], dice: Random, depth: int = 3) -> Tree:
    """A condition of random shape over predicates, as its text would be written."""
    if len(places) == 1:
        return Leaf(places[0]) if dice.random() < 0.75 else Not(Leaf(places[0]))
    if depth == 1:
        parts = [tree_of([place], dice) for place in places]
    else:
        cut = dice.randrange(1, len(places))
        parts = [tree_of(part, dice, depth - 1) for part in (places[:cut], places[cut:])]
    return Junction("or" if dice.random() < 0.5 else "and", tuple(parts))


@dataclass(frozen=True, slots=True)
class Rows:
    """A world's rows as a condition sees them: ``counts`` : where an answer counts as TRUE."""

    branches: Branches
    counts: NDArray[np.bool_]
    tokens: NDArray[np.float64]

    @classmethod
    def of(cls, branches: Branches, one: World) -> Rows:
        """All of a world."""
        counts = [[branches.goes_on(place, a) for place, a in enumerate(row)] for row in one.answers]
        return cls(branches, np.array(counts), one.tokens)

    def cost(self, order: Sequence[int]) -> float:
        """Tokens of asking all rows by one plan of branches."""
        total, waiting = 0.0, [(0, np.ones(len(self.counts), dtype=bool))]
        while waiting:
            context, reached = waiting.pop()
            if (place := order[context]) == DONE:
                continue
            total += float(self.tokens[reached, place].sum())
            true = self.counts[:, place]
            waiting += [(context + 3**place, reached & true), (context + 2 * 3**place, reached & ~true)]
        return total

    def best_order(self) -> float:
        """Tokens of the best fixed order: what cannot matter is skipped in every one."""
        return min(map(self.cost, map(self.branches.in_order, permutations(range(self.branches.predicates)))))

    def best_branches(self) -> float:
        """Tokens of the best branches, by the shares of these rows in every context."""
        shape = self.branches
        shares = np.zeros((shape.contexts, shape.predicates, 1))
        for context in range(shape.contexts):
            digits = [context // 3**place % 3 for place in range(shape.predicates)]
            ways = [self.counts[:, place] == (digit == 1) for place, digit in enumerate(digits) if digit]
            reached = np.logical_and.reduce(ways) if ways else np.ones(len(self.counts), dtype=bool)
            shares[context, :, 0] = self.counts[reached].mean(axis=0) if reached.any() else 0.5
        return self.cost(shape.best(self.tokens.mean(axis=0), shares).order(0))


@dataclass(frozen=True, slots=True)
class Run:
    """Tokens of one world, by way of asking."""

    ours: float
    everything: float
    written: float
    order: float
    branches: float


def run(latent: Latent, seed: int) -> Run:
    """All ways on one world."""
    count = 3 + seed % 3
    one = world(latent, seed, ROWS, count)
    branches = Branches(tree_of(range(count), Random(seed)))
    machine = AdaptiveOrder([Predicate(float(c), true=0.5) for c in one.expected], branches, seed)
    rows = Rows.of(branches, one)
    ours, everything = learnt(one, machine), float(one.tokens.sum())
    return Run(ours, everything, rows.cost(branches.written), rows.best_order(), rows.best_branches())


def report(name: str, runs: Sequence[Run]) -> list[str]:
    """One world's line."""
    ways: Sequence[Callable[[Run], float]] = (
        lambda r: r.ours,
        lambda r: r.written,
        lambda r: r.everything,
        lambda r: r.branches,
    )
    return [name, *(spread([way(r) / r.order for r in runs]) for way in ways)]


def simulated() -> None:
    """Predicates that are made up."""
    found = {name: [run(latent, seed) for seed in range(SEEDS)] for name, latent in WORLDS.items()}
    print(f"SIMULATED predicates, conditions of 3 to 5 in random shape, {ROWS:,} rows, {SEEDS} seeds a world")
    print("Tokens ÷ tokens of the best fixed order in hindsight: mean / 95th percentile / worst seed\n")
    head = ["world", "ours", "as written (rule off)", "asking everything", "best branches in hindsight"]
    print(table(head, [report(name, runs) for name, runs in found.items()]))
    for name, runs in found.items():
        print(f"  {name:14} ours ÷ best fixed order: {verdict(fmean(r.ours / r.order for r in runs), AGAINST_ORDER)}")
        print(f"  {name:14} ours ÷ everything: {verdict(fmean(r.ours / r.everything for r in runs), AGAINST_ALL)}")
        print(f"  {name:14} ours ÷ as written: {fmean(r.ours / r.written for r in runs):.3f}")


def served() -> None:
    """The engine, with the rule and without it."""
    lines, ratios = [], []
    for seed in range(SERVED_SEEDS):
        asked = four(seed)
        condition = SHAPES[seed % len(SHAPES)].format(*(one.sql() for one in asked))
        with Bench(asked, SERVED_ROWS) as bench:
            ours, rerun = bench.ran(condition, SERVED_ROWS, times=2)
            (off,) = bench.ran(condition, SERVED_ROWS, "condition_tree")
            everything = sum(bench.tokens().values()) * SERVED_ROWS
        same = ours.rows == off.rows == rerun.rows and rerun.calls == 0
        ratios.append(ours.tokens / off.tokens)
        shape = SHAPES[seed % len(SHAPES)].format(*"abcd")
        lines.append(
            [shape, f"{ratios[-1]:.3f}", f"{ours.tokens / everything:.3f}", "yes" if same else "NO", ours.note]
        )
    print(f"\nSIMULATED model over real HTTP without latency, {SERVED_ROWS:,} rows: tokens on the server's bill\n")
    head = ["condition", "ours ÷ rule off", "ours ÷ asking everything", "same rows, rerun free", "what ours found"]
    print(table(head, lines))
    print(f"ours ÷ rule off, mean: {fmean(ratios):.3f}")


def four(seed: int) -> list[Question]:
    """Four questions."""
    return [*questions(seed), *questions(1000 * (seed + 5))][:4]


def main() -> None:
    """Print all of it."""
    simulated()
    served()


if __name__ == "__main__":
    main()
