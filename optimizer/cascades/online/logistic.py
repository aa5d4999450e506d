"""Logistic regression of several classes that learns from a few rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .examples import Floats
from .hashing import Rows

RATE = 0.5
TOGETHER = 8
"""Rows of one step."""


class Logistic:
    """Softmax regression by AdaGrad: each column has a rate of its own, so rare words are learnt as fast as common ones.

    J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 12 (2011).

    Parameters
    ----------
    width : columns. classes : how many.

    >>> from .hashing import Row
    >>> learner = Logistic(2, 2)
    >>> rows = Rows.of([Row(np.array([0]), np.array([1.0])), Row(np.array([1]), np.array([1.0]))] * 8)
    >>> learner.learn(rows, np.array([0, 1] * 8), np.ones(16))
    >>> bool((learner.chances(rows).argmax(axis=1) == [0, 1] * 8).all())
    True
    """

    def __init__(self, width: int, classes: int, rate: float = RATE) -> None:
        self.rate = rate
        self._weights: NDArray[Any] = np.zeros((width, classes), np.float32)
        self._squares: NDArray[Any] = np.zeros((width, classes), np.float32)

    @property
    def width(self) -> int:
        """Columns."""
        return len(self._weights)

    def chances(self, rows: Rows) -> Floats:
        """Per row the probability of each class."""
        logits = np.add.reduceat(self._weights[rows.columns] * rows.values[:, None], rows.starts, axis=0)
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        made: Floats = odds / odds.sum(axis=1, keepdims=True)
        return made

    def learn(self, rows: Rows, targets: NDArray[np.int64], weights: Floats) -> None:
        """One step for all rows together, each as if it were there as often as its weight says."""
        errors = self.chances(rows)
        errors[np.arange(len(targets)), targets] -= 1.0
        columns, which = np.unique(rows.columns, return_inverse=True)
        slopes = rows.values[:, None] * (errors * weights[:, None])[rows.owners()]
        gradient = np.stack([np.bincount(which, slope, len(columns)) for slope in slopes.T], axis=1)
        self._squares[columns] += gradient**2
        self._weights[columns] -= self.rate * gradient / np.sqrt(self._squares[columns] + 1e-12)

    def refresh(self, share: float) -> None:
        """Let what comes count for more: of the past's squares only a share is remembered, weights stay."""
        self._squares *= share

    def dump(self) -> dict[str, NDArray[Any]]:
        """What it has learnt: the columns that were ever seen."""
        columns = np.flatnonzero(self._squares.any(axis=1))
        return {"columns": columns, "weights": self._weights[columns], "squares": self._squares[columns]}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """What :meth:`dump` gave."""
        self._weights[state["columns"]] = state["weights"]
        self._squares[state["columns"]] = state["squares"]
