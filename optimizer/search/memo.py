"""Orders and arms of the calls that one stream of rows meets, searched together.

A group of the memo is the set of calls done so far; it keeps the frontier of all ways to have done them, because a part of
a plan that is dominated is part of no plan worth having (costs of calls are independent given the rows that reach them).
Cascades (G. Graefe, 1995) with frontiers in the place of winners, as in Abacus (arXiv 2505.14661).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from operator import itemgetter

from .point import Costs, Point, Step, undominated

MOST_SITES = 12
SLACK, SLACK_FROM, MOST_SLACK = 0.005, 64, 0.05
"""Of more ways than this, those are forgotten that are within half a percent of another; of a hundred times as many, within five:
the more there are, the closer they lie, and a plan has to be found in 50 ms."""


@dataclass(frozen=True, slots=True)
class ArmCost:
    """What one question costs with an arm.

    Parameters
    ----------
    money : US dollars. seconds : of service. at_once : questions that it answers at the same time.
    loss : share of its answers that differ from the reference's.
    """

    name: str
    money: float
    seconds: float
    loss: float = 0.0
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Site:
    """A call site.

    Parameters
    ----------
    arms : the reference first. keeps : share of rows that go on after it (1.0: it is no filter).
    asked : questions per row that reaches it (distinct inputs, guards). needs : labels of sites whose answers it reads.
    """

    label: str
    arms: tuple[ArmCost, ...]
    keeps: float = 1.0
    asked: float = 1.0
    needs: frozenset[str] = frozenset()


Keeps = Callable[[Site, frozenset[str]], float]
"""Share of rows that a site keeps, of those that the given sites have left."""


def _independent(site: Site, done: frozenset[str]) -> float:
    del done
    return site.keeps


@dataclass(slots=True)
class Memo:
    """The search for one stream.

    Parameters
    ----------
    sites : at most ``MOST_SITES``. rows : of the source. keeps : conditional selectivity; independent if not given.
    """

    sites: Sequence[Site]
    rows: float
    keeps: Keeps = _independent
    _groups: dict[frozenset[str], tuple[Point, ...]] = field(default_factory=dict)
    _rows: dict[frozenset[str], float] = field(default_factory=dict)

    def plans(self) -> tuple[Point, ...]:
        """The frontier of whole plans, cheapest first.

        Raises
        ------
        ValueError : there are more than ``MOST_SITES``, or they need one another in a circle.
        """
        if len(self.sites) > MOST_SITES:
            raise ValueError(f"The memo holds {MOST_SITES} calls; there are {len(self.sites)}.")
        start: frozenset[str] = frozenset()
        self._groups, self._rows = {start: (Point((), self.rows, 0.0, 0.0, 0.0),)}, {start: self.rows}
        by_label = {site.label: site for site in self.sites}
        for size in range(1, len(self.sites) + 1):
            for labels in combinations(by_label, size):
                self._fill(frozenset(labels), by_label)
        whole = self._groups.get(frozenset(by_label), ())
        if not whole:
            raise ValueError("The calls need one another's answers in a circle.")
        return whole

    def _fill(self, group: frozenset[str], by_label: Mapping[str, Site]) -> None:
        found: list[_Way] = []
        for label in sorted(group):
            site, before = by_label[label], group - {label}
            if site.needs <= before and before in self._groups:
                # Rows do not depend on the order in which a set of filters was done: whichever way came first says how many.
                self._rows.setdefault(group, self._rows[before] * self.keeps(site, before))
                arms = _sensible(site)
                found += [
                    (_costs(point, site, arm), point, site, arm) for point in self._groups[before] for arm in arms
                ]
        if not found:
            return
        found.sort(key=itemgetter(0))
        many = len(found) / SLACK_FROM
        slack = min(MOST_SLACK, SLACK * math.sqrt(many)) if many > 1 else 0.0
        kept = undominated([costs for costs, *_ in found], slack)
        self._groups[group] = tuple(_after(*found[place], self._rows[group]) for place in kept)


_Way = tuple[Costs, Point, Site, ArmCost]
"""One more call behind a plan, and what the whole then costs."""


def _sensible(site: Site) -> list[ArmCost]:
    """Arms that no other of the site's is as good as in everything; of equals, the first."""
    in_order = sorted(site.arms, key=lambda arm: (arm.money, arm.seconds, arm.loss))
    kept: list[ArmCost] = []
    for arm in in_order:
        if not any(_as_good(other, arm) for other in kept):
            kept.append(arm)
    return kept


def _as_good(other: ArmCost, arm: ArmCost) -> bool:
    paces = other.seconds / other.at_once <= arm.seconds / arm.at_once
    return other.money <= arm.money and other.seconds <= arm.seconds and paces and other.loss <= arm.loss


def _costs(point: Point, site: Site, arm: ArmCost) -> Costs:
    """Rows stream through calls one behind the other: the slowest sets the pace, each adds its first answer."""
    questions = point.rows * site.asked
    seconds = max(point.seconds, questions * arm.seconds / arm.at_once) + arm.seconds
    return point.money + questions * arm.money, seconds, min(1.0, point.loss + arm.loss)


def _after(costs: Costs, point: Point, site: Site, arm: ArmCost, rows: float) -> Point:
    return Point((*point.steps, Step(site.label, arm.name)), rows, *costs)


def cost_of(steps: Sequence[Step], sites: Sequence[Site], rows: float, keeps: Keeps = _independent) -> Point:
    """What a plan costs whose order and arms are given."""
    by_label = {site.label: site for site in sites}
    point, done = Point((), rows, 0.0, 0.0, 0.0), frozenset[str]()
    for step in steps:
        site = by_label[step.site]
        arm = next(arm for arm in site.arms if arm.name == step.arm)
        point = _after(_costs(point, site, arm), point, site, arm, point.rows * keeps(site, done))
        done |= {site.label}
    return point
