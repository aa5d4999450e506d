"""A simulated world of texts with a true order, and a noisy judge of them: Bradley and Terry's, with what models do besides.

Nothing here calls a model. The latent strengths are normal. A comparison's latent margin is the difference of strengths, plus
logistic noise (so that its sign alone is the Bradley–Terry model), plus an advantage of the first place that makes 60/40 of two
equal texts; one answer in ten is turned round on top. What a question is answered stays: asked again it says the same, as a
model at temperature 0 does; the other order is another question.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

FLIPPED = 0.10
FIRST_PLACE = math.log(0.6 / 0.4)
SCORE_NOISE = 1.0
"""Standard deviation of a score's noise in units of that of the strengths: half of a score's variance is noise."""
SCORE_STEP = 0.05
"""Models say few different scores; near the end of a scale all say the same."""
# Log-normal times with a mean of half a second.
_SIGMA = 0.5
_MEDIAN = math.log(0.5) - _SIGMA**2 / 2


@dataclass(frozen=True, slots=True)
class World:
    """Texts with strengths, and one fixed answer to each question.

    Parameters
    ----------
    strengths : of the texts. margins : by first and second text, the latent margin of the answer.
    scores : of the texts, pointwise. told : the judge gives probabilities, otherwise only which is better.
    """

    strengths: np.ndarray
    margins: np.ndarray
    scores: np.ndarray
    told: bool

    @classmethod
    def of(cls, seed: int, rows: int, spread: float, told: bool) -> World:
        """A world by its seed; ``spread``: standard deviation of the strengths, in logits."""
        rng = np.random.default_rng(seed)
        strengths = rng.normal(0.0, spread, rows)
        margins = strengths[:, None] - strengths[None, :] + FIRST_PLACE + rng.logistic(size=(rows, rows))
        margins = np.where(rng.random((rows, rows)) < FLIPPED, -margins, margins)
        noisy = strengths / spread + rng.normal(0.0, SCORE_NOISE, rows)
        scores = np.round(1.0 / (1.0 + np.exp(-noisy)) / SCORE_STEP) * SCORE_STEP
        return cls(strengths, margins.astype(np.float32), scores, told)

    async def compare(self, pairs: Sequence[tuple[int, int]]) -> Sequence[float | None]:
        """The answers: probabilities, or 0 and 1."""
        first, second = np.array(pairs).T
        margins = self.margins[first, second].astype(float)
        answers = 1.0 / (1.0 + np.exp(-margins)) if self.told else (margins > 0).astype(float)
        return list(answers.tolist())

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        """The scores."""
        return list(self.scores[list(rows)].tolist())

    def truth(self) -> list[int]:
        """All texts, the strongest first."""
        return [int(row) for row in np.argsort(-self.strengths, kind="stable")]

    def full_pairwise(self, seed: int) -> list[int]:
        """All N(N - 1)/2 pairs asked once, in an order by chance; by wins (Copeland), or by summed probabilities if told."""
        rows = len(self.strengths)
        answers = 1.0 / (1.0 + np.exp(-self.margins.astype(float))) if self.told else (self.margins > 0).astype(float)
        forth = np.triu(np.random.default_rng(seed).random((rows, rows)) < 0.5, 1)
        upper = np.triu(np.where(forth, answers, 1.0 - answers.T), 1)
        wins = upper.sum(axis=1) + (np.triu(1.0 - upper, 1)).sum(axis=0)
        return [int(row) for row in np.argsort(-wins, kind="stable")]


def graded(found: Sequence[int], truth: Sequence[int], places: int) -> float:
    """nDCG with three grades: 2^grade - 1 is 7 for the truly first ``places``, 3 up to five times, 1 up to fifteen times as many."""
    grade = {
        row: 3 if place < places else 2 if place < 5 * places else 1 for place, row in enumerate(truth[: 15 * places])
    }
    return _ndcg(found, {row: 2.0**level - 1.0 for row, level in grade.items()}, places)


def strict(found: Sequence[int], truth: Sequence[int], places: int) -> float:
    """nDCG with a gain of ``places`` for the truly first, one less for each next, and nothing beyond: a near miss is a miss."""
    return _ndcg(found, {row: float(places - place) for place, row in enumerate(truth[:places])}, places)


def _ndcg(found: Sequence[int], gains: Mapping[int, float], places: int) -> float:
    ideal = sorted(gains.values(), reverse=True)[:places]
    return _discounted([gains.get(row, 0.0) for row in found[:places]]) / _discounted(ideal)


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


@dataclass(slots=True)
class Clocked:
    """A judge behind a server that answers ``slots`` questions at a time, on a simulated clock: only counted, never waited for.

    Parameters
    ----------
    judge : who answers. slots : of the server. random : of the times, log-normal around half a second.
    seconds : passed so far; rounds follow each other.
    """

    judge: World
    slots: int
    random: Random
    seconds: float = 0.0

    async def compare(self, pairs: Sequence[tuple[int, int]]) -> Sequence[float | None]:
        """The judge's answers."""
        self.wait(len(pairs))
        return await self.judge.compare(pairs)

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        """The judge's scores."""
        self.wait(len(rows))
        return await self.judge.score(rows)

    def wait(self, questions: int) -> None:
        """Lets the time of one round pass: each question takes the slot that is free first."""
        free = [0.0] * self.slots
        for _ in range(questions):
            heapq.heapreplace(free, free[0] + self.random.lognormvariate(_MEDIAN, _SIGMA))
        self.seconds += max(free)
