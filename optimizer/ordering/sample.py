"""Correlated predicates: orders from rows about which all predicates were asked.

A share that was measured on rows which earlier predicates let through says nothing of other orders. Rows asked about
everything do: they give the share for every set of predicates passed before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .predicate import Answer, Logic
from .subsets import Shares, best_orders

SMOOTHING = 4.0
"""Rows' worth of the unconditional share that a conditional one starts from: a set that few rows passed says little."""


class Sample:
    """Fully evaluated rows.

    Parameters
    ----------
    rows : per row an answer of every predicate. logic : how they are joined. smoothing : see :data:`SMOOTHING`.

    >>> twins = Sample([(True, True, True), (True, True, False), (False, False, True), (False, False, False)], Logic("and"))
    >>> twins.greedy_order([10, 11, 15])
    (0, 2, 1)
    """

    def __init__(self, rows: Sequence[Sequence[Answer]], logic: Logic, smoothing: float = SMOOTHING) -> None:
        on = [[not logic.decides(answer) for answer in row] for row in rows]
        self._on: NDArray[np.bool_] = np.array(on, dtype=bool)
        self._smoothing = smoothing

    def share(self, predicate: int, passed: Sequence[int] = ()) -> float:
        """The share of rows that goes on after ``predicate``, of those that passed ``passed`` (smoothed)."""
        column = self._on[:, predicate]
        prior = (column.sum() + 1) / (len(column) + 2)
        asked = column if not passed else column[self._on[:, list(passed)].all(axis=1)]
        if not self._smoothing:
            return float(asked.mean()) if len(asked) else 0.0
        return float((asked.sum() + self._smoothing * prior) / (len(asked) + self._smoothing))

    def greedy_order(self, costs: Sequence[float]) -> tuple[int, ...]:
        """A-greedy: next always the least cost per row decided, among the rows that are left.

        At most four times the cost of the best order (Babu et al., "Adaptive ordering of pipelined stream filters", 2004).
        """
        found: list[int] = []
        while left := [i for i in range(len(costs)) if i not in found]:
            deciding = {i: 1 - self.share(i, found) for i in left}
            found.append(min(left, key=lambda i: costs[i] / deciding[i] if deciding[i] > 0 else float("inf")))
        return tuple(found)

    def best_order(self, costs: Sequence[float]) -> tuple[int, ...]:
        """The order of least cost on these rows; at most ``MOST_PREDICATES`` (``ValueError``)."""
        return best_orders(costs, self.shares()).order(0)

    def shares(self) -> Shares:
        """For every set passed and every predicate, of these rows."""
        count = self._on.shape[1]
        found = np.ones((1 << count, count, 1))
        for passed in range(1 << count):
            before = [i for i in range(count) if passed >> i & 1]
            for predicate in set(range(count)) - set(before):
                found[passed, predicate, 0] = self.share(predicate, before)
        return found
