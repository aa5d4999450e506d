"""Which order is thought best, how sure that is, and when another takes its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .branches import BestBranches
from .subsets import Best, Shares, order_cost

CostOf = Callable[[NDArray[np.float64], Shares, Sequence[int]], NDArray[Any]]
"""Of an order a row, by world."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of orders.

    Parameters
    ----------
    order : thought best. cost : expected of it, a row.
    confidence : the probability that no other is cheaper by more than the indifference.
    settled : it was sure enough once, and no drift was seen since. restarts : how often drift was seen.
    """

    order: tuple[int, ...]
    cost: float = 0.0
    confidence: float = 0.0
    settled: bool = False
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Judge:
    """When an order is settled, and when a settled one gives way.

    Parameters
    ----------
    confidence, indifference : settled if with this probability no other is cheaper by more than that share.
    hysteresis : another takes the place of a settled one if it is cheaper by this share, with probability ``confidence``.
    """

    confidence: float = 0.9
    indifference: float = 0.02
    hysteresis: float = 0.05

    def judged(
        self,
        old: Standing,
        costs: NDArray[np.float64],
        shares: Shares,
        best: Best | BestBranches,
        cost_of: CostOf = order_cost,
    ) -> Standing:
        """The standing, given worlds that what was seen allows and the best order in each (of branches: ``BestBranches``)."""
        orders = sorted({best.order(world) for world in range(len(best.cost))} | {old.order})
        cost = {order: cost_of(costs, shares, order) for order in orders}
        cheapest = min(orders, key=lambda order: float(cost[order].mean()))
        keeps = old.settled and not self._gives_way(cost[old.order], cost[cheapest])
        order = old.order if keeps else cheapest
        confidence = float((cost[order] <= (1 + self.indifference) * best.cost).mean())
        settled = keeps or confidence >= self.confidence
        return Standing(order, float(cost[order].mean()), confidence, settled, old.restarts)

    def _gives_way(self, old: NDArray[Any], new: NDArray[Any]) -> bool:
        return float((new <= (1 - self.hysteresis) * old).mean()) > self.confidence
