"""One price of a wrong row for all calls of a query, found from their audits: the routes of each follow from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..search.agreement import agreement
from ..search.bounds import wilson
from .audits import PRICES, Tried
from .belief import Floats
from .site import LEAST_BLOCK, SiteRouter

Z = 1.96
"""One-sided 97.5 %."""


class Router:
    """The calls of one query.

    What is best for all of them together is a price: an answer may be taken if it is likely to be wrong in no more rows than the
    reference's question is worth. Every audited row tells what each price would have done, so the price is the solution of the dual
    problem on the audited rows, and no step towards it: the largest with which all calls together keep the quality by the bound of
    their audits, or less if the money lasts for more.

    Parameters
    ----------
    quality : agreement with the references that is kept, by a one-sided bound of 97.5 % over the rows audited.
    spend : cost of a row that there is money for, in the unit of the costs; ``None``: as little as the quality allows.
    seed : of what is drawn.
    """

    def __init__(self, quality: float, *, spend: Callable[[], float | None] = lambda: None, seed: int = 42) -> None:
        self.room, self._spend, self._seed = 1.0 - quality, spend, seed
        self.sites: list[SiteRouter] = []
        self.price = 0.0

    def site(
        self,
        name: str,
        arms: Sequence[str],
        costs: Callable[[], Sequence[float]],
        *,
        same: Callable[[Any, Any], float] = agreement,
        block: int = LEAST_BLOCK,
    ) -> SiteRouter:
        """One more call; ``arms`` : names, the reference's first."""
        made = SiteRouter(name, arms, costs, same=same, solve=self.solve, block=block, seed=self._seed)
        self.sites.append(made)
        return made

    def solve(self) -> None:
        """Find the price anew."""
        known = [site for site in self.sites if site.trusted]
        if not known:
            return
        unit = max(float(site.costs[0]) for site in known) or 1.0
        busiest = max(site.curve.rows for site in self.sites)
        reach = [site.curve.rows / busiest for site in known]
        spent = [share * float(site.costs[0]) for share, site in zip(reach, known, strict=True)]
        own = [self.room * each / sum(spent) for each in spent]  # where the money goes
        tried = [
            _capped(site.audits.tried(site.costs / unit, PRICES), most) for site, most in zip(known, own, strict=True)
        ]
        rows = [site.audits.rows for site in known]
        wrong = self._wrong(rows, tried, reach)
        at = int(np.argmax(wrong > self.room)) - 1 if (wrong > self.room).any() else len(PRICES) - 1
        at = self._affordable(at, sum(share * each.cost for share, each in zip(reach, tried, strict=True)), unit)
        self.price = float(PRICES[at])
        for site, each, count, most in zip(known, tried, rows, own, strict=True):
            site.price = float(PRICES[min(at, _most(each, most))]) / unit
            site.watch(wilson(float(each.wrong[at]) * count, count, 1.0)[1], self.room)

    def _wrong(self, rows: Sequence[int], tried: Sequence[Tried], reach: Sequence[float]) -> Floats:
        """Per price, how many rows may be wrong: the calls' errors of estimate are independent, so they add up as squares."""
        mean, squares = np.zeros(len(PRICES)), np.zeros(len(PRICES))
        for count, each, share in zip(rows, tried, reach, strict=True):
            high = np.array([wilson(float(wrong) * count, count, Z)[1] for wrong in each.wrong])
            high[0] = 0.0  # the reference is never wrong
            mean += share * each.wrong
            squares += np.square(share * (high - each.wrong))
        return np.asarray(mean + np.sqrt(squares))

    def _affordable(self, at: int, cost: Any, unit: float) -> int:
        """The smallest price, and so the best answers, that the money lasts for; at most the one that the quality allows."""
        spend = self._spend()
        if spend is None:
            return at
        enough = [price for price in range(at + 1) if cost[price] * unit <= spend]
        return enough[0] if enough else at

    @property
    def cost(self) -> float:
        """What all rows cost so far, audits among them."""
        return math.fsum(site.curve.cost for site in self.sites)


def _capped(tried: Tried, own: float) -> Tried:
    """A call whose kept rows allow no more than a price stays there. Where few rows are kept, agreement says little of them."""
    places = np.minimum(np.arange(len(PRICES)), _most(tried, own))
    return Tried(tried.wrong[places], tried.cost[places], tried.unkept)


def _most(tried: Tried, own: float) -> int:
    """The largest price at which a call keeps its share of what F1 may lose: what calls lose of it adds up."""
    over = tried.unkept > own
    return int(np.argmax(over)) - 1 if over.any() else len(PRICES) - 1
