"""What was seen of predicates: who was asked after which others, who let the row go on, and what it cost.

The set that a row had passed before a question is its context. A row that was asked in an order says something of the
contexts on its way; a row that was asked everything says something of every set of what it passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and what came of it. ``goes_on`` : the answer did not decide the chain."""

    predicate: int
    goes_on: bool
    cost: float


@dataclass(slots=True)
class Counts:
    """Sums over rows. ``asked``, ``on`` : ``[set, predicate]``; ``questions``, ``costs`` : by predicate.
    ``batches`` : micro-batches in it.
    """

    asked: NDArray[np.float64]
    on: NDArray[np.float64]
    questions: NDArray[np.float64]
    costs: NDArray[np.float64]
    batches: int = 0

    @classmethod
    def none(cls, predicates: int) -> Counts:
        """Nothing seen."""
        shape = (1 << predicates, predicates)
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(predicates), np.zeros(predicates))

    def add(self, row: Sequence[Asked], full: bool) -> None:
        """One row's questions, in order; ``full``: all predicates, whatever they said."""
        for one in row:
            self.questions[one.predicate] += 1
            self.costs[one.predicate] += one.cost
        if full:
            self._add_full(row)
            return
        passed = 0
        for one in row:
            self.asked[passed, one.predicate] += 1
            self.on[passed, one.predicate] += one.goes_on
            passed |= 1 << one.predicate

    def merged(self, other: Counts) -> Counts:
        """Both."""
        return Counts(
            self.asked + other.asked,
            self.on + other.on,
            self.questions + other.questions,
            self.costs + other.costs,
            self.batches + other.batches,
        )

    def _add_full(self, row: Sequence[Asked]) -> None:
        passed = sum(1 << one.predicate for one in row if one.goes_on)
        for one in row:
            contexts = _subsets(passed & ~(1 << one.predicate))
            self.asked[contexts, one.predicate] += 1
            self.on[contexts, one.predicate] += one.goes_on


def _subsets(mask: int) -> NDArray[np.intp]:
    found = np.zeros(1, dtype=np.intp)
    bit = 1
    while bit <= mask:
        if mask & bit:
            found = np.concatenate([found, found | bit])
        bit <<= 1
    return found
