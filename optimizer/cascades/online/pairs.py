"""Predict-then-train pairs: what levels said of rows before they learnt the reference's answer, and whether it was the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .examples import Decision, Floats, Mark

UNKNOWN, NO_CLASS = -2, -1
"""Targets of rows that the reference was not asked about, and of those that it gave an answer of no class."""
HEAVIEST = 10.0
"""A row that was asked about with a small probability stands for several: levels that learn from what they defer alone, and are
judged by it, forget what they were sure of and do not notice. But never for more than so many."""
OWN_SIGNS = 5
"""Signs beside those of classes."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Per row and level: signs (NaN where the level said nothing), the class it named (−1: none), and whether the reference
    contradicts it; and per row for how many it stands, because rows like it are asked about with a small probability."""

    signs: Floats
    choices: NDArray[np.int64]
    wrong: NDArray[np.bool_]
    standing: Floats

    @classmethod
    def of(cls, decisions: Sequence[Decision], targets: NDArray[np.int64], levels: int, classes: int) -> Pairs:
        """Of rows whose last levels may be missing (they were not asked)."""
        marks = [decision.marks for decision in decisions]
        standing = np.array([min(HEAVIEST, 1 / decision.asked) for decision in decisions])
        choices = np.full((len(marks), levels), -1, np.int64)
        for row, own in enumerate(marks):
            for level, mark in enumerate(own):
                if mark is not None:
                    choices[row, level] = mark.choice
        signs = stacked(marks, levels, OWN_SIGNS + classes)
        return cls(signs, choices, choices != targets[:, None], standing)

    def at(self, rows: NDArray[np.bool_]) -> Pairs:
        """Some of them."""
        return Pairs(self.signs[rows], self.choices[rows], self.wrong[rows], self.standing[rows])

    def joined(self, later: Pairs, most: int) -> Pairs:
        """With later ones behind; the oldest go where there are too many."""
        both = (
            np.concatenate([getattr(self, n), getattr(later, n)])[-most:]
            for n in ("signs", "choices", "wrong", "standing")
        )
        return Pairs(*both)


def stacked(marks: Sequence[Sequence[Mark | None]], levels: int, width: int) -> Floats:
    """Signs per row and level; NaN where a level said nothing, or was not asked."""
    nothing = np.full(width, np.nan)
    rows = [
        [nothing if level >= len(own) or (mark := own[level]) is None else mark.signs for level in range(levels)]
        for own in marks
    ]
    made: Floats = np.array(rows).reshape(len(marks), levels, width)
    return made
