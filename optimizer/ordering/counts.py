"""What was seen of predicates: who was asked after which others, who let the row go on, and what it cost.

The set that a row had passed before a question is its context (of a condition: all its answers before; ``Branches``). A row that was asked in an order says something of the
contexts on its way; a row that was asked everything says something of every set of what it passed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and what came of it. ``goes_on`` : the answer did not decide the chain."""

    predicate: int
    goes_on: bool
    cost: float


Step = Callable[[int, bool], int]
"""How far a predicate's answer, which goes on or does not, moves the number of a row's context."""


def _passed(predicate: int, goes_on: bool) -> int:
    """A chain's context is the set that was passed."""
    return (1 << predicate) * goes_on


@dataclass(slots=True)
class Counts:
    """Sums over rows. ``asked``, ``on`` : ``[context, predicate]``; ``questions``, ``costs`` : by predicate.
    ``batches`` : micro-batches in it.
    """

    asked: NDArray[np.float64]
    on: NDArray[np.float64]
    questions: NDArray[np.float64]
    costs: NDArray[np.float64]
    batches: int = 0

    @classmethod
    def none(cls, predicates: int, contexts: int | None = None) -> Counts:
        """Nothing seen. ``contexts`` : of how many; the sets of predicates, if nothing is said."""
        shape = (contexts or 1 << predicates, predicates)
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(predicates), np.zeros(predicates))

    def add(self, row: Sequence[Asked], full: bool, step: Step = _passed) -> None:
        """One row's questions, in order; ``full``: all predicates, whatever they said. ``step`` : what an answer makes of a context."""
        for one in row:
            self.questions[one.predicate] += 1
            self.costs[one.predicate] += one.cost
        if full:
            self._add_full(row, step)
            return
        passed = 0
        for one in row:
            self.asked[passed, one.predicate] += 1
            self.on[passed, one.predicate] += one.goes_on
            passed += step(one.predicate, one.goes_on)

    def merged(self, other: Counts) -> Counts:
        """Both."""
        return Counts(
            self.asked + other.asked,
            self.on + other.on,
            self.questions + other.questions,
            self.costs + other.costs,
            self.batches + other.batches,
        )

    def _add_full(self, row: Sequence[Asked], step: Step) -> None:
        steps = {one.predicate: step(one.predicate, one.goes_on) for one in row}
        for one in row:
            contexts = _sums([size for place, size in steps.items() if size and place != one.predicate])
            self.asked[contexts, one.predicate] += 1
            self.on[contexts, one.predicate] += one.goes_on


def _sums(steps: Sequence[int]) -> NDArray[np.intp]:
    """Of each choice of them."""
    found = np.zeros(1, dtype=np.intp)
    for step in steps:
        found = np.concatenate([found, found + step])
    return found
