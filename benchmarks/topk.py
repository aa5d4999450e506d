"""Top-k by a noisy judge of pairs: calls, rounds and nDCG@10 of each algorithm beside all N(N - 1)/2 pairs; planted facts.

``make bench-topk``, or ``python -m benchmarks.topk --rows 200 --seeds 5``. The judge and the clock are simulated
(benchmarks/topk_world.py), and so is the model that reads planted facts (benchmarks/topk_facts.py). The thresholds stood here before the seeds were run; the algorithms' constants were chosen on other
seeds (1000 and above).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import mean

from anserdb.engine.physical.ranking.judge import Judge
from anserdb.engine.physical.ranking.top_k import ALGORITHMS, top_k

from .topk_facts import report
from .topk_world import FLIPPED, Clocked, World, graded, strict

PLACES = 10
SEEDS = 20
SPREAD = 3.0
SLOTS = 32
# The two that may change an order for the better; the others are here to compare with.
JUDGED = ("quickselect", "refine")
OF_FULL, CALLS_A_ROW, ROUNDS = 0.95, 3, 12
FULL = "full pairwise"


@dataclass(frozen=True, slots=True)
class Run:
    """One algorithm in one world."""

    graded: float
    strict: float
    calls: int
    rounds: int
    seconds: float


def run(name: str, world: World, seed: int) -> Run:
    """One ranking; its books are the library's own."""
    clocked = Clocked(world, SLOTS, Random(seed))
    found = asyncio.run(top_k(_judge(clocked), range(len(world.strengths)), PLACES, name, seed=seed))
    truth = world.truth()
    return Run(
        graded(found.rows, truth, PLACES), strict(found.rows, truth, PLACES), found.calls, found.rounds, clocked.seconds
    )


def full(world: World, seed: int) -> Run:
    """All pairs in one round."""
    found, truth, rows = world.full_pairwise(seed), world.truth(), len(world.strengths)
    calls = rows * (rows - 1) // 2
    clocked = Clocked(world, SLOTS, Random(seed))
    clocked.wait(calls)
    return Run(graded(found, truth, PLACES), strict(found, truth, PLACES), calls, 1, clocked.seconds)


def _judge(clocked: Clocked) -> Judge:
    return clocked


def table(rows: int, seeds: int, told: bool) -> list[bool]:
    """Prints the figures of one setting; for each algorithm that is judged, whether the target is met."""
    worlds = [(seed, World.of(seed, rows, SPREAD, told)) for seed in range(seeds)]
    runs = {FULL: [full(world, seed) for seed, world in worlds]}
    for name in ALGORITHMS:
        if name != "round robin":  # which is full pairwise
            runs[name] = [run(name, world, seed) for seed, world in worlds]
    answers = "probabilities" if told else "only which of two is better"
    print(f"\n## {rows} texts, {seeds} seeds, the judge says {answers}\n\n{_HEADER}")
    for name, figures in runs.items():
        print(_line(name, figures, runs[FULL], rows))
    return [_verdict(name, runs[name], runs[FULL], rows) for name in JUDGED]


_HEADER = (
    "| algorithm | calls / N, mean (most) | rounds, most | nDCG@10 mean (worst seed) | of full pairwise | strict nDCG@10 | of full "
    f"pairwise | simulated seconds at {SLOTS} slots |\n|---|---|---|---|---|---|---|---|"
)


def _line(name: str, runs: Sequence[Run], reference: Sequence[Run], rows: int) -> str:
    calls = [run.calls / rows for run in runs]
    return (
        f"| {name} | {mean(calls):.2f} ({max(calls):.2f}) | {max(run.rounds for run in runs)} "
        f"| {_mean(runs, _graded):.3f} ({min(map(_graded, runs)):.3f}) | {_of(runs, reference, _graded):.3f} "
        f"| {_mean(runs, _strict):.3f} ({min(map(_strict, runs)):.3f}) | {_of(runs, reference, _strict):.3f} "
        f"| {mean(run.seconds for run in runs):.1f} |"
    )


def _graded(run: Run) -> float:
    return run.graded


def _strict(run: Run) -> float:
    return run.strict


def _mean(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    return mean(map(figure, runs))


def _of(runs: Sequence[Run], reference: Sequence[Run], figure: Callable[[Run], float]) -> float:
    return _mean(runs, figure) / _mean(reference, figure)


def _verdict(name: str, runs: Sequence[Run], reference: Sequence[Run], rows: int) -> bool:
    """Whether the target is met, by the nDCG with grades; the strict one is said, too."""
    reached, hard = _of(runs, reference, _graded), _of(runs, reference, _strict)
    calls, rounds = max(run.calls for run in runs) / rows, max(run.rounds for run in runs)
    met = reached >= OF_FULL and calls <= CALLS_A_ROW and rounds <= ROUNDS
    print(
        f"\n{name}: nDCG@10 {reached:.3f} of full pairwise (target {OF_FULL}), strict {hard:.3f}, calls {calls:.2f} N (at most "
        f"{CALLS_A_ROW}), rounds {rounds} (at most {ROUNDS}): {'met' if met else 'MISSED'}"
        f"{'' if hard >= OF_FULL else '; by the strict measure MISSED'}"
    )
    return met


def main() -> None:
    """Prints a table for each number of texts and each kind of answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[200, 1000])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    print(
        f"SIMULATED judge: Bradley–Terry, strengths normal with {SPREAD:g} logits, {FLIPPED:.0%} of answers turned round, first place "
        f"60/40 at equal texts, answers fixed per ordered pair; scores half noise, in steps. SIMULATED clock: calls of 0.5 s on "
        f"average (log-normal). nDCG@{PLACES} with grades (gain 7 for the true first 10, 3 to place 50, 1 to place 150, as far as N "
        f"goes), and strict: gain 10 for the true first to 1 for the tenth, 0 beyond. Full pairwise: all N(N - 1)/2 pairs once, in "
        f"an order by chance, rows by their wins (Copeland), or by the sums of probabilities where the judge gives them."
    )
    met = [held for rows in options.rows for told in (False, True) for held in table(rows, options.seeds, told)]
    met.append(report(options.seeds))
    print(f"\n{sum(met)} of {len(met)} targets are met.")


if __name__ == "__main__":
    main()
