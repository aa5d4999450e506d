"""The policy that holds for a block of rows: what it decides depends on the row alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .belief import Floats, likely


@dataclass(frozen=True, slots=True)
class Frozen:
    """A policy of one call.

    Parameters
    ----------
    price : in wrong rows, of the unit in which ``costs`` are; 0: the reference answers. costs : of a question, the reference's first.
    weights : per arm, of how likely its answer is right, drawn from the beliefs. values : what is still to come once an arm
        is asked, by the context. barred : arms that are not asked.
    audits : share of rows that everybody is asked about.
    """

    price: float
    costs: Floats
    weights: Sequence[Floats]
    values: Floats
    barred: frozenset[int]
    audits: float

    def start(self, context: Floats) -> int:
        """Who is asked first; 0: the reference."""
        if not self.price:
            return 0
        worth = {arm: self._worth(arm, context) for arm in range(1, len(self.costs)) if arm not in self.barred}
        best = min(worth, key=lambda arm: (worth[arm], arm), default=0)
        return best if best and worth[best] < self.price * self.costs[0] else 0

    def doubt(self, arm: int, features: Floats) -> float:
        """How likely an arm's answer is to be wrong."""
        return 1.0 - likely(self.weights[arm - 1], features)

    def accepts(self, doubt: float) -> bool:
        """Whether to be wrong costs no more than asking the reference does."""
        return doubt <= self.price * float(self.costs[0])

    def _worth(self, arm: int, context: Floats) -> float:
        to_come = float(np.dot(context, self.values[:, arm - 1])) if len(self.values) else 0.0
        return self.price * float(self.costs[arm]) + to_come
