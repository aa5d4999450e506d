"""The order of semantic predicates, learnt while they are asked, beside orders that know more or nothing at all.

``make bench-ordering``. Predicates are SIMULATED: their answers and token counts are made up with known shares, costs and
correlations; no model is asked. Every token of ours counts, those of exploration and of fully asked rows too. The clairvoyant
order is the cheapest fixed order in hindsight, found by trying all of them on the very rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import fmean

import numpy as np

from anserdb.optimizer.ordering.adaptive import AdaptiveOrder
from anserdb.optimizer.ordering.counts import Asked
from anserdb.optimizer.ordering.predicate import Answer, Logic, Predicate

from .support_measure import table
from .support_ordering import World, correlated, in_order_of_cause, independent, twins, world

ROWS, SEEDS = 5_000, 24
REGRET, AGAINST_COST_ASCENDING = 1.10, 0.80
"""Targets, fixed before the first run: mean tokens as a share of the clairvoyant order's, world by world; and of the
cost-ascending order's, over all runs in which that is not the clairvoyant order."""

WORLDS: dict[str, Callable[[int], World]] = {
    "independent": lambda seed: world(independent, seed, ROWS, 3 + seed % 4),
    "correlated": lambda seed: world(correlated, seed, ROWS, 3 + seed % 4),
    "cheap ones let pass": lambda seed: world(correlated, seed, ROWS, 3 + seed % 4, "cheap pass"),
    "one text for all": lambda seed: world(correlated, seed, ROWS, 3 + seed % 4, "one text"),
    "two groups of near copies": lambda seed: world(twins, seed, ROWS, 3 + seed % 4),
    "all shares turned in the middle": lambda seed: world(correlated, seed, ROWS, 3 + seed % 4, "turned"),
    "table sorted by the cause": lambda seed: world(in_order_of_cause, seed, ROWS, 3 + seed % 4),
}


@dataclass(frozen=True, slots=True)
class Run:
    """Tokens of one run, by way of ordering; and how much of ours went where."""

    ours: float
    written: float
    ascending: float
    clairvoyant: float
    same_order: bool
    fully_asked: int
    restarts: int


def learnt(one: World, machine: AdaptiveOrder) -> float:
    """Tokens of asking all rows as the state machine says."""
    spent = 0.0
    waiting = []
    for number, answers in enumerate(one.answers):
        while (ticket := machine.ticket(number.to_bytes(4, "little"))) is None:
            for done, row in waiting:
                machine.seen(done, row)
            waiting.clear()
        said: dict[int, Answer] = {}
        asked = []
        while (place := ticket.next(said)) is not None:
            said[place] = answers[place]
            asked.append(Asked(place, machine.logic.goes_on(place, answers[place]), float(one.tokens[number, place])))
        spent += sum(question.cost for question in asked)
        waiting.append((ticket, asked))
    return spent


def run(make: Callable[[int], World], seed: int) -> Run:
    """All ways on one world."""
    one = make(seed)
    count = len(one.expected)
    orders = {order: one.cost(order) for order in permutations(range(count))}
    best = min(orders, key=lambda order: orders[order])
    ascending = tuple(int(i) for i in np.argsort(one.expected, kind="stable"))
    machine = AdaptiveOrder([Predicate(float(c), true=0.5) for c in one.expected], Logic("and"), seed)
    ours = learnt(one, machine)
    return Run(
        ours,
        orders[tuple(range(count))],
        orders[ascending],
        orders[best],
        ascending == best,
        machine.audited,
        machine.standing.restarts,
    )


def spread(ratios: Sequence[float]) -> str:
    """Mean, 95th percentile and worst."""
    return f"{fmean(ratios):.3f} / {np.quantile(ratios, 0.95):.3f} / {max(ratios):.3f}"


def verdict(figure: float, target: float) -> str:
    """In words."""
    return f"{figure:.3f}, target {target:.2f}: {'reached' if figure <= target else 'MISSED'}"


def report(name: str, runs: Sequence[Run]) -> list[str]:
    """One world's line."""
    return [
        name,
        spread([r.ours / r.clairvoyant for r in runs]),
        spread([r.written / r.clairvoyant for r in runs]),
        spread([r.ascending / r.clairvoyant for r in runs]),
        f"{fmean(r.fully_asked for r in runs) / ROWS:.2%}",
        f"{fmean(r.restarts for r in runs):.1f}",
    ]


def main() -> None:
    """Print all of it."""
    found = {name: [run(make, seed) for seed in range(SEEDS)] for name, make in WORLDS.items()}
    print(f"SIMULATED predicates (3 to 6 joined by AND), {ROWS:,} rows, {SEEDS} seeds a world; all tokens counted")
    print("Tokens ÷ tokens of the clairvoyant static order: mean / 95th percentile / worst seed\n")
    head = ["world", "ours", "as written", "cost ascending", "rows asked everything", "restarts"]
    print(table(head, [report(name, runs) for name, runs in found.items()]))
    print(f"\nOurs ÷ clairvoyant static order, mean over {SEEDS} seeds")
    for name, runs in found.items():
        print(f"  {name:34}{verdict(fmean(r.ours / r.clairvoyant for r in runs), REGRET)}")
    against_ascending([r for runs in found.values() for r in runs])


def against_ascending(runs: Sequence[Run]) -> None:
    """Where the cost-ascending order is not the best one."""
    other = [r for r in runs if not r.same_order]
    print(f"\nOurs ÷ cost ascending, where that is not the clairvoyant order ({len(other)} of {len(runs)} runs)")
    print(
        f"  ours                              {verdict(fmean(r.ours / r.ascending for r in other), AGAINST_COST_ASCENDING)}"
    )
    print(f"  the clairvoyant order itself      {fmean(r.clairvoyant / r.ascending for r in other):.3f}")
    costly = [r for r in other if r.clairvoyant <= AGAINST_COST_ASCENDING * r.ascending]
    print(f"  ours, in the {len(costly)} where the clairvoyant order is itself at or below {AGAINST_COST_ASCENDING:.2f}: "
          f"{fmean(r.ours / r.ascending for r in costly):.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
