"""Who answers: how much each level is to be doubted, and up to which doubt it may answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .deferral import Doubt
from .examples import Aim, Floats, Mark
from .pairs import OWN_SIGNS, Pairs, stacked
from .threshold import CLOSED, Labelled, Threshold, solved

KEPT, LATELY = 8_000, 1_500
"""Labelled rows that doubts are learnt from, and rows of any kind that say how common a doubt is."""
ENOUGH = 100
"""Labelled rows before anything is believed."""
STEADY = 200
GROWN = 1.1
"""Doubts are learnt anew when there are so many times as many labelled rows, or so many new ones:"""
AT_MOST = 250
SCARCE, PROBED = 6.0, 0.3
"""Where a labelled row speaks for more than one in so many of all that may go wrong, such a share of rows is asked for besides."""


class Policy:
    """Frozen but in :meth:`learn` and :meth:`forget`."""

    def __init__(self, levels: int, classes: int, aim: Aim) -> None:
        self._shape, self._aim = (levels, OWN_SIGNS + classes), aim
        self.forget()

    def forget(self) -> None:
        """Doubt everything, as at the start."""
        levels, _ = self._shape
        nothing = np.zeros((0, levels), np.int64)
        self._labelled = Pairs(np.zeros((0, *self._shape)), nothing, nothing.astype(bool), np.zeros(0))
        self._lately = self._labelled.signs
        self._doubts = [Doubt() for _ in range(levels)]
        self._since, self._fitted = 0, 0
        self._found: Threshold = CLOSED

    @property
    def threshold(self) -> float:
        """Up to which doubt levels may answer; −1: none may."""
        return self._found.doubt

    def probed(self, doubt: float) -> float:
        """The share of rows of such a doubt of which the reference is asked though a level is sure enough: labels are scarce there,
        and what is not known cannot be allowed."""
        return PROBED if self._found.weight(doubt) * SCARCE > 1 - self._aim.quality else 0.0

    @property
    def calibrated(self) -> bool:
        """Whether doubts have been learnt from enough rows to be judged by."""
        return self._fitted >= STEADY

    def doubts(self, marks: Sequence[Sequence[Mark | None]]) -> Floats:
        """Per row and level, the probability that the reference contradicts it; 1 for a level that said nothing."""
        return self._all(stacked(marks, *self._shape))

    def judged(self, pairs: Pairs, known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_]]:
        """Of labelled rows, the class that was named by the level that is doubted least, its doubt, and whether it was contradicted."""
        some = pairs.at(known & (pairs.choices >= 0).any(axis=1))
        doubts = self._all(some.signs)
        rows, level = np.arange(len(doubts)), doubts.argmin(axis=1)
        return some.choices[rows, level], doubts[rows, level], some.wrong[rows, level]

    def learn(self, pairs: Pairs, known: NDArray[np.bool_]) -> None:
        """Rows that came by, and which of them the reference answered."""
        self._lately = np.concatenate([self._lately, pairs.signs])[-LATELY:]
        self._labelled = self._labelled.joined(pairs.at(known), KEPT)
        self._since += int(known.sum())
        rows = len(self._labelled.signs)
        if rows >= ENOUGH and self._since >= min(AT_MOST, (GROWN - 1) * self._fitted):
            self._fit()

    def _fit(self) -> None:
        for level, doubt in enumerate(self._doubts):
            signs = self._labelled.signs[:, level]
            there = ~np.isnan(signs[:, 0])
            if there.sum() >= ENOUGH:
                doubt.fit(signs[there], self._labelled.wrong[there, level])
        labelled = Labelled(self._all(self._labelled.signs), self._labelled.wrong, self._labelled.standing)
        self._found = solved(labelled, self._all(self._lately), 1 - self._aim.quality, self._aim.delta)
        self._since, self._fitted = 0, len(self._labelled.signs)

    def _all(self, signs: Floats) -> Floats:
        return np.column_stack([doubt.of(signs[:, level]) for level, doubt in enumerate(self._doubts)])

    def dump(self) -> dict[str, NDArray[Any]]:
        """Labelled pairs: all else follows from them."""
        pairs = self._labelled
        return {
            "signs": pairs.signs.astype(np.float32),
            "choices": pairs.choices,
            "wrong": pairs.wrong,
            "standing": pairs.standing,
            "lately": self._lately,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """What :meth:`dump` gave."""
        self._labelled = Pairs(state["signs"].astype(np.float64), state["choices"], state["wrong"], state["standing"])
        self._lately = state["lately"]
        if len(self._labelled.signs) >= ENOUGH:
            self._fit()
