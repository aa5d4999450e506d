"""The best order of dependent predicates, by dynamic programming over the sets that a row has passed.

What asking ``i`` next is worth depends on which predicates the row has passed, not on their order; so 2^n sets stand for
the n! orders. Many worlds (draws of a posterior) are solved at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_PREDICATES = 10
"""More of them would take more than tens of milliseconds; what is beyond keeps the order it has."""

Shares = NDArray[np.float64]
"""``[set, predicate, world]``: the share of rows that goes on after the predicate, of those that passed the set (a bit mask)."""


@dataclass(frozen=True, slots=True)
class Best:
    """The cheapest order in each world. ``cost`` : by world, a row. ``first`` : ``[set, world]``, what to ask after it."""

    cost: NDArray[np.float64]
    first: NDArray[np.intp]

    def order(self, world: int) -> tuple[int, ...]:
        """The order in one world."""
        found: list[int] = []
        passed = 0
        while passed < len(self.first) - 1:
            found.append(int(self.first[passed, world]))
            passed |= 1 << found[-1]
        return tuple(found)


def best_orders(costs: Sequence[float] | NDArray[np.float64], shares: Shares) -> Best:
    """The order of least expected cost in each world.

    Parameters
    ----------
    costs : of a question, by predicate. shares : see :data:`Shares`.

    Raises
    ------
    ValueError : there are more than :data:`MOST_PREDICATES`.
    """
    sets, count, worlds = shares.shape
    if count > MOST_PREDICATES:
        raise ValueError(f"{count} predicates: at most {MOST_PREDICATES} can be ordered together.")
    cost = np.zeros((sets, worlds))
    first = np.zeros((sets, worlds), dtype=np.intp)
    for passed in range(sets - 2, -1, -1):
        left = np.array([i for i in range(count) if not passed >> i & 1])
        ways = np.asarray(costs)[left, None] + shares[passed, left] * cost[passed | 1 << left]
        chosen = ways.argmin(axis=0)
        cost[passed] = np.take_along_axis(ways, chosen[None], axis=0)[0]
        first[passed] = left[chosen]
    return Best(cost[0], first)


def order_cost(costs: Sequence[float] | NDArray[np.float64], shares: Shares, order: Sequence[int]) -> NDArray[Any]:
    """Expected cost a row of one order, by world."""
    total = np.zeros(shares.shape[2])
    reached = np.ones(shares.shape[2])
    passed = 0
    for place in order:
        total += reached * costs[place]
        reached = reached * shares[passed, place]
        passed |= 1 << place
    return total
