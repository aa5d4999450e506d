"""The best order of independent predicates that AND or OR joins: by cost over the share of rows that they decide.

Exchanging two neighbours a, b changes the expected cost by c_a + g_a c_b - c_b - g_b c_a, where g = 1 - d is the share of
rows that goes on: a belongs first if c_a / d_a <= c_b / d_b. For conjuncts d = 1 - s, for disjuncts d = s.
(Hellerstein and Stonebraker, "Predicate migration", 1993; the rule itself is Smith's, 1956.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .levels import Level, levels
from .predicate import Logic, Predicate
from .subsets import Best, Shares, best_orders, order_cost


@dataclass(frozen=True, slots=True)
class Chain:
    """The shape of predicates that one connective joins, for those who learn orders; see ``Branches`` for conditions.

    Parameters
    ----------
    logic : what joins them, and what is asked of them. predicates : how many.
    """

    logic: Logic
    predicates: int

    @property
    def contexts(self) -> int:
        """Sets of predicates that a row has passed."""
        return 1 << self.predicates

    @property
    def levels(self) -> Sequence[Level]:
        """See ``levels``."""
        return levels(self.predicates, 1)

    @property
    def written(self) -> tuple[int, ...]:
        """The order of the text."""
        return tuple(range(self.predicates))

    def step(self, place: int, goes_on: bool) -> int:
        """How far an answer moves the context."""
        return (1 << place) * goes_on

    def going_on(self, place: int, predicate: Predicate) -> float:
        """The share of rows that goes on."""
        del place
        return 1 - self.logic.deciding(predicate)

    def best(self, costs: NDArray[np.float64], shares: Shares) -> Best:
        """The order of least expected cost in each world."""
        return best_orders(costs, shares)

    def cost(self, costs: NDArray[np.float64], shares: Shares, order: Sequence[int]) -> NDArray[Any]:
        """Expected cost a row of one order, by world."""
        return order_cost(costs, shares, order)


def rank(predicate: Predicate, logic: Logic) -> float:
    """Cost per decided row; infinite for what decides nothing and costs something.

    >>> rank(Predicate(100, true=0.75), Logic("and")), rank(Predicate(100, true=0.75), Logic("or"))
    (400.0, 133.33333333333334)
    """
    if predicate.cost == 0:
        return 0.0
    deciding = logic.deciding(predicate)
    return predicate.cost / deciding if deciding > 0 else math.inf


def chain_order(predicates: Sequence[Predicate], logic: Logic) -> tuple[int, ...]:
    """Places of the predicates in the order of least expected cost; equal ones stay as written.

    >>> chain_order([Predicate(300, true=0.1), Predicate(100, true=0.5), Predicate(90, true=0.9)], Logic("and"))
    (1, 0, 2)
    """
    return tuple(sorted(range(len(predicates)), key=lambda place: rank(predicates[place], logic)))


def chain_cost(predicates: Sequence[Predicate], logic: Logic, order: Sequence[int]) -> float:
    """Expected cost a row of asking in ``order`` until the chain is decided."""
    total, reached = 0.0, 1.0
    for place in order:
        total += reached * predicates[place].cost
        reached *= 1 - logic.deciding(predicates[place])
    return total
