"""What a sample proves of an arm's loss if it is planned when to look: a group sequential test, exact for answers that agree or do not.

A bet (``bounds.py``) may go on forever, and pays for that: where the sample has an end, a test that knows it proves more by then.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .bounds import Floats

FIRST_LOOK, GROWTH = 12, 1.12
"""Looks are taken after so many rows, and each time there are so many times as many."""
PATIENCE = 3.0
"""Looks end at so many times the horizon."""
SPENT_BY_THEN, POWER = 0.9, 0.75
"""Of the probability of being wrong so much is spent by the horizon, growing with that power of the rows."""
_HORIZONS = tuple(round(64 * 1.5**n) for n in range(13))


class SequentialProof:
    """How large a loss (1 − mean) can be at most, as far as rows have proved by now; at looks planned beforehand.

    At each look a loss is proved if there were no more disagreements than, all looks together, an arm of that loss has with
    probability ``delta`` at most: exact, by the distribution of those that have not been proved yet (K. K. G. Lan and D. L. DeMets,
    "Discrete sequential boundaries for clinical trials", Biometrika 70, 1983, with binomial counts). A loss is proved only with
    all larger ones, so what is claimed is wrong with probability ``delta`` over all of them. Who agrees in part has not agreed.

    Parameters
    ----------
    losses : that may be proved, each between 0 and 1. delta : probability of being wrong.
    horizon : about how many rows there will be to prove with. Later looks exist, but most of ``delta`` is spent by then.

    >>> proof = SequentialProof([0.05, 0.1], 0.05, 200)
    >>> for _ in range(60):
    ...     proof.see(1.0)
    >>> proof.loss
    0.1
    """

    __slots__ = ("_at", "_losses", "_proved", "delta", "enough", "failures", "horizon", "n")

    def __init__(self, losses: Sequence[float], delta: float, horizon: float) -> None:
        self.delta, self.horizon, self.enough = delta, _rounded(horizon), max(losses)
        self._losses = sorted(losses)
        self.n = self.failures = self._at = 0
        self._proved = 1.0

    def see(self, x: float) -> None:
        """One more row, 0 <= ``x`` <= 1."""
        self.n += 1
        self.failures += x < 1.0
        looks = looks_of(self.horizon)
        if self._at < len(looks) and self.n == looks[self._at]:
            self._look()
            self._at += 1

    def _look(self) -> None:
        for loss in reversed(self._losses[: bisect_left(self._losses, self._proved)]):
            if self.failures > boundary(loss, self.delta, self.horizon)[self._at]:
                break
            self._proved = loss

    @property
    def loss(self) -> float:
        """The smallest that has been proved; 1 while there is none."""
        return self._proved

    def won(self) -> bool:
        """Whether as small a loss is proved as is :attr:`enough` by now."""
        return self._proved <= self.enough

    def to_go(self, losses: Floats, true: Floats) -> Floats:
        """About how many more rows prove each of some losses, for each that may be true; infinite where none do."""
        rows = rows_to_prove(losses, self.delta, self.horizon, true, self.n, self.failures)
        rows[self._proved <= losses] = 0.0
        return rows


def rows_to_prove(losses: Floats, delta: float, horizon: float, true: Floats, n: int = 0, failures: int = 0) -> Floats:
    """About how many more rows a :class:`SequentialProof` needs after ``n`` with so many ``failures``: per loss that is to be proved
    and per loss that may be true; infinite where it is not expected to end.

    By large deviations of the binomial's tail; what is spent at looks in between is left out.

    >>> rows_to_prove(np.array([0.1]), 0.05, 200, np.array([0.0, 0.05, 0.2])).round()
    array([[ 45., 148.,  inf]])
    """
    horizon = _rounded(horizon)
    looks = np.array(looks_of(horizon), float)
    left = looks > n
    if not left.any():
        return np.full((len(losses), len(true)), math.inf)
    looks, spent = looks[left], np.log(delta * _spending(horizon)[left])
    expected = failures + np.outer(true, looks - n)
    claimed = losses[:, None, None]
    share = np.minimum(expected / looks, claimed * 0.999)
    rest = 1 - share
    apart = share * np.log(np.maximum(share, 1e-12) / claimed) + rest * np.log(rest / (1 - claimed))
    odds = share * (1 - claimed) / (claimed * rest)
    enough = -looks * apart - 0.5 * np.log1p(2 * math.pi * expected) - np.log1p(-odds) <= spent
    enough &= expected < claimed * looks
    return np.where(enough.any(axis=2), looks[enough.argmax(axis=2)] - n, math.inf)


@lru_cache(maxsize=64)
def looks_of(horizon: int) -> tuple[int, ...]:
    """Rows after which is looked."""
    looks = [FIRST_LOOK]
    while looks[-1] < PATIENCE * horizon:
        looks.append(math.ceil(looks[-1] * GROWTH))
    return tuple(looks)


@lru_cache(maxsize=4_096)
def boundary(loss: float, delta: float, horizon: int) -> tuple[int, ...]:
    """Per look, with how many disagreements at most a loss is proved (−1: with none).

    What is followed is the probability, if the loss is true, of each number of disagreements without a proof so far.
    """
    looks = looks_of(horizon)
    going_on, spent, before, most = np.ones(1), 0.0, 0, []
    size = math.ceil(loss * looks[-1]) + 1  # more never proves anything
    for rows, share in zip(looks, _spending(horizon), strict=True):
        going_on = np.convolve(going_on, _binomial(rows - before, loss))[:size]
        before = rows
        below = np.cumsum(going_on)
        few = int(np.searchsorted(below, delta * share - spent, side="right")) - 1
        if few >= 0:
            spent += float(below[few])
            going_on[: few + 1] = 0.0
        most.append(few)
    return tuple(most)


@lru_cache(maxsize=64)
def _spending(horizon: int) -> Floats:
    """Of the probability of being wrong, the share that is spent by each look."""
    shares = np.array(looks_of(horizon)) / horizon
    late = np.clip((shares - 1.0) / (PATIENCE - 1.0), 0.0, 1.0)
    made: Floats = SPENT_BY_THEN * np.minimum(1.0, shares) ** POWER + (1 - SPENT_BY_THEN) * late
    return made


def _binomial(n: int, p: float) -> Floats:
    """Probabilities of 0, 1, … successes; the upper end is left out where it is nothing."""
    top = min(n, math.ceil(n * p + 10 * math.sqrt(n * p) + 10))
    k = np.arange(top, dtype=float)
    logs = np.log((n - k) / (k + 1)) + math.log(p / (1 - p))
    made: Floats = np.exp(n * math.log1p(-p) + np.concatenate([[0.0], np.cumsum(logs)]))
    return made


def _rounded(horizon: float) -> int:
    """One of few, because each has boundaries of its own."""
    return min(_HORIZONS, key=lambda known: abs(math.log(known / max(1.0, horizon))))
