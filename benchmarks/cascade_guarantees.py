"""How often certified cascades break their promise, and how many rows the reference still answers, on replayed scores.

``python -m benchmarks.cascade_guarantees [runs]``, part of ``make bench-cascades``. Nothing is asked here: what the proxy and the
reference said is read from tables, and quality is agreement with that reference. Every run draws another sample. "naive" is the longest
prefix whose errors in one uniform sample of 400 rows are few enough, as if the sample were all rows. "least" is what thresholds need
that were set by somebody who knows all answers. The reference's share has the sample in it. Targets were fixed before the run.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

from anserdb.engine.plan.cascade import Guarantee

from .cascade_check import MOST_MISSED, Tried, View, least_share, naive, ours, tried
from .cascade_worlds import SHARED, World, given, made

RUNS, DELTA, PROCESSES = 400, 0.1, 2
PROMISES = (
    Guarantee(accuracy=0.9, delta=DELTA),
    Guarantee(accuracy=0.95, delta=DELTA),
    Guarantee(precision=0.9, delta=DELTA),
    Guarantee(recall=0.9, delta=DELTA),
    Guarantee(precision=0.9, recall=0.9, delta=DELTA),
)
MOST_ASKED = {("llama_sst2", 0.9): 0.31, ("llama_mmlu", 0.9): 0.65}
"""The reference's share at most, by set and accuracy."""
COLUMNS = f"{'':22} {'promise':30} {'missed':>6} {'naive':>6} {'share':>6} {'least':>6} {'drawn':>6}"


@dataclass(frozen=True, slots=True)
class Line:
    """One set and promise."""

    world: str
    promise: Guarantee
    ours: Tried
    naive: Tried
    least: float

    @property
    def met(self) -> bool:
        """Whether both targets are."""
        most = MOST_ASKED.get((self.world, self.promise.accuracy or 0.0), 1.0)
        return self.ours.missed <= MOST_MISSED and self.ours.share <= most

    def __str__(self) -> str:
        most = MOST_ASKED.get((self.world, self.promise.accuracy or 0.0))
        goal = f"missed ≤ {MOST_MISSED}" + (f", share ≤ {most}" if most else "")
        figures = (self.ours.missed, self.naive.missed, self.ours.share, self.least, self.ours.labels)
        numbers = " ".join(f"{figure:6.3f}" for figure in figures)
        words = self.promise.words.rsplit(" (", 1)[0]
        return f"{self.world:22} {words:30} {numbers}  {goal}: {'met' if self.met else 'MISSED'}"


@cache
def worlds() -> dict[str, World]:
    """All sets by name, those handed over first."""
    return {world.name: world for world in (*given(), *made())}


def measured(name: str, promise: Guarantee, runs: int) -> Line | None:
    """One set and promise, as a process of its own does it; ``None``: they do not go together."""
    view: View | None = worlds()[name].view(promise)
    if view is None:
        return None
    return Line(
        name, promise, tried(ours, view, promise, runs), tried(naive, view, promise, runs), least_share(view, promise)
    )


def main(runs: int = RUNS) -> bool:
    """Print all figures; whether every target is met."""
    print(
        f"Certified cascades: {runs} runs each, δ = {DELTA:g}; replayed answers, quality is agreement with the reference"
    )
    if not (SHARED / "cascade").is_dir():
        print("The scores (shared/data/cascade) are not here: nothing was measured.")
        return True
    began = time.perf_counter()
    print(COLUMNS)
    names = list(worlds())  # made before there are other processes, which find them in their memory
    lines: list[Line] = []
    with ProcessPoolExecutor(PROCESSES) as pool:
        for line in pool.map(measured, *zip(*((name, p, runs) for name in names for p in PROMISES), strict=True)):
            if line is not None:
                lines.append(line)
                print(line, flush=True)
    missed = sum(not line.met for line in lines)
    print(f"{len(lines) - missed} of {len(lines)} lines met, in {time.perf_counter() - began:.0f} s")
    return not missed


if __name__ == "__main__":
    sys.exit(not main(*map(int, sys.argv[1:])))
