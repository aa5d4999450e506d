"""The best order of independent predicates that AND or OR joins: by cost over the share of rows that they decide.

Exchanging two neighbours a, b changes the expected cost by c_a + g_a c_b - c_b - g_b c_a, where g = 1 - d is the share of
rows that goes on: a belongs first if c_a / d_a <= c_b / d_b. For conjuncts d = 1 - s, for disjuncts d = s.
(Hellerstein and Stonebraker, "Predicate migration", 1993; the rule itself is Smith's, 1956.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .predicate import Logic, Predicate


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
