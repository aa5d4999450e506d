"""How sure a level may be: the probability that the reference contradicts it, learnt from what it said before it learnt the answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .examples import Floats, Mark

RIDGE = 1.0
STEPS = 12
SUREST = 12.0
YOUTH = 200
"""Lessons."""


def signs_of(chances: Floats, others: Floats | None, lessons: int) -> Floats:
    """Per row, what tells how sure a level is: a 1, the log-odds of its first class against its second, whether the level below
    names another one and how surely, how young it is (and that times its log-odds), and which class it is.

    Parameters
    ----------
    chances : the level's own probabilities. others : those of the level below; ``None``: there is none.
    """
    rows = np.arange(len(chances))
    first = chances.argmax(axis=1)
    top = np.log(np.maximum(np.sort(chances, axis=1)[:, -2:], 1e-6))
    margin = np.minimum(top[:, 1] - top[:, 0], SUREST)
    apart = np.zeros(len(chances))
    if others is not None:
        apart = np.log(np.maximum(others.max(axis=1), 1e-6)) - np.log(np.maximum(others[rows, first], 1e-6))
    classes = np.zeros_like(chances)
    classes[rows, first] = 1.0
    young = np.full(len(chances), (1 + lessons / YOUTH) ** -0.5)
    own = [np.ones(len(chances)), margin, np.minimum(apart, SUREST), young, young * margin]
    made: Floats = np.column_stack([*own, classes])
    return made


def sure_of(choice: int, chance: float, classes: int, below: Mark | None) -> Mark:
    """What a small model said, as a level that shares out what is left of the probability."""
    chances = np.full((1, classes), (1 - chance) / (classes - 1))
    chances[0, choice] = max(chance, float(chances[0, 0]) + 1e-6)
    others = None if below is None else below.chances[None, :]
    return Mark(choice, signs_of(chances, others, 0)[0], chances[0])


class Doubt:
    """Logistic regression of contradiction on a level's signs; until it has seen some, everything is doubted."""

    def __init__(self) -> None:
        self._weights: Floats | None = None

    def fit(self, signs: Floats, wrong: NDArray[np.bool_]) -> None:
        """By Newton's method with a ridge; the outcome of what is given alone, in any order."""
        weights = np.zeros(signs.shape[1])
        ridge = RIDGE * np.eye(signs.shape[1])
        ridge[0, 0] = 1e-6
        for _ in range(STEPS):
            chance = _logistic(signs @ weights)
            slope = signs.T @ (chance - wrong) + ridge @ weights
            curve = (signs * (chance * (1 - chance) + 1e-9)[:, None]).T @ signs + ridge
            step = np.linalg.solve(curve, slope)
            weights = weights - np.clip(step, -4.0, 4.0)
            if float(np.abs(step).max()) < 1e-4:
                break
        self._weights = weights

    def of(self, signs: Floats) -> Floats:
        """Per row the probability that the reference contradicts; 1 where there are no signs (NaN)."""
        if self._weights is None:
            return np.ones(len(signs))
        return np.nan_to_num(_logistic(signs @ self._weights), nan=1.0)


def _logistic(x: Floats) -> Floats:
    made: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -30.0, 30.0)))
    return made
