"""Orders and arms of the calls that one stream of rows meets, searched together.

A group of the memo is the set of calls done so far; it keeps the frontier of all ways to have done them, because a part of
a plan that is dominated is part of no plan worth having (costs of calls are independent given the rows that reach them).
Cascades (G. Graefe, 1995) with frontiers in the place of winners, as in Abacus (arXiv 2505.14661).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .point import Costs, Floats, Point, Step, cheapest_first

MOST_SITES = 12
FEW_SITES = 6
"""Of so many calls all orders are looked at."""
SLACK, SLACK_FROM, MOST_SLACK = 0.005, 64, 0.05
"""Of more ways than this, those are forgotten that are within half a percent of another; the more there are, the closer they lie,
and the more are forgotten. A whole plan that is forgotten has another within ``MOST_SLACK``: a plan has to be found in 50 ms."""


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


@dataclass(frozen=True, slots=True)
class _Group:
    """All ways to have done some calls that are worth having, the cheapest first.

    Parameters
    ----------
    rows : that are left. costs : money, seconds and loss of each way. found : its place among all that were looked at, which
        are those of ``parts``, one behind the other: the label of the last call, its arms, and how many ways there are of it.
    """

    rows: float
    costs: Floats
    found: Sequence[int] = (0,)
    parts: Sequence[tuple[str, Sequence[ArmCost], int]] = ()

    def last(self, place: int) -> tuple[Step, int]:
        """The last call of a way, and the place of the way before it."""
        at = self.found[place]
        for label, arms, ways in self.parts:
            if at < ways:
                return Step(label, arms[at % len(arms)].name), at // len(arms)
            at -= ways
        raise AssertionError(place)


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
    _groups: dict[frozenset[str], _Group] = field(default_factory=dict)
    _arms: dict[str, _Arms] = field(default_factory=dict)

    def plans(self) -> tuple[Point, ...]:
        """The frontier of whole plans, cheapest first.

        Raises
        ------
        ValueError : there are more than ``MOST_SITES``, or they need one another in a circle.
        """
        if len(self.sites) > MOST_SITES:
            raise ValueError(f"The memo holds {MOST_SITES} calls; there are {len(self.sites)}.")
        by_label = {site.label: site for site in self.sites}
        self._arms = {site.label: _Arms.of(_sensible(site)) for site in self.sites}
        level: set[frozenset[str]] = {frozenset()}
        self._groups = {frozenset(): _Group(self.rows, np.zeros((1, 3)))}
        for _ in by_label:
            level = {group | {label} for group in level for label in _next(group, by_label)}
            for group in level:
                self._groups[group] = self._filled(group, by_label)
        if not level:
            raise ValueError("The calls need one another's answers in a circle.")
        (whole,) = level
        return tuple(self._points(whole))

    def _filled(self, group: frozenset[str], by_label: Mapping[str, Site]) -> _Group:
        last = [
            label
            for label in sorted(group)
            if group - {label} in self._groups and by_label[label].needs <= group - {label}
        ]
        # Rows do not depend on the order in which a set of filters was done: whichever way comes first says how many.
        before = group - {last[0]}
        rows = self._groups[before].rows * self.keeps(by_label[last[0]], before)
        ways = [self._ways(by_label[label], group - {label}) for label in last]
        costs = np.concatenate(ways)
        rest = [site for label, site in by_label.items() if label not in group]
        if rest:
            # Whatever comes next takes so long; what was faster up to here is not faster in the end.
            least = min(self._arms[site.label].fastest * rows * site.asked for site in rest)
            np.maximum(costs[:, 1], least, out=costs[:, 1])
        kept = cheapest_first(costs, self._slack(len(costs)))
        parts = [(label, self._arms[label].arms, len(made)) for label, made in zip(last, ways, strict=True)]
        return _Group(rows, costs[kept], kept.tolist(), parts)

    def _ways(self, site: Site, before: frozenset[str]) -> Floats:
        group, arms = self._groups[before], self._arms[site.label]
        return _costs(group.costs, group.rows * site.asked, arms)

    def _slack(self, ways: int) -> float:
        """What may be forgotten at one level; those of all levels multiply."""
        most: float = (1 + MOST_SLACK) ** (1 / len(self.sites)) - 1
        return min(most, SLACK * math.sqrt(ways / SLACK_FROM)) if ways > SLACK_FROM else 0.0

    def _points(self, whole: frozenset[str]) -> Iterator[Point]:
        found = self._groups[whole]
        for place, costs in enumerate(found.costs.tolist()):
            yield Point(tuple(self._steps(whole, place))[::-1], found.rows, *costs)

    def _steps(self, group: frozenset[str], place: int) -> Iterator[Step]:
        """The calls of a way, the last first."""
        while group:
            step, place = self._groups[group].last(place)
            group -= {step.site}
            yield step


def _next(group: frozenset[str], by_label: Mapping[str, Site]) -> Sequence[str]:
    """Calls that may follow.

    Of many, those that keep all rows and that nobody waits for come last, in one order: no filter behind them would have more rows for
    that, and they have fewer. Money and losses are those of the best order; seconds may be more by the calls' first answers.
    """
    left = [site for label, site in by_label.items() if label not in group]
    ready = [site for site in left if site.needs <= group]
    if len(by_label) <= FEW_SITES:
        return [site.label for site in ready]
    waited_for = frozenset[str]().union(*(site.needs for site in left))
    early = [site.label for site in ready if site.keeps < 1.0 or site.label in waited_for]
    return early or [site.label for site in ready[:1]]


@dataclass(frozen=True, slots=True)
class _Arms:
    """Arms of a site, and what they cost as columns."""

    arms: Sequence[ArmCost]
    money: Floats
    seconds: Floats
    at_once: Floats
    loss: Floats
    fastest: float

    @classmethod
    def of(cls, arms: Sequence[ArmCost]) -> _Arms:
        """The columns."""
        money, seconds, at_once, loss = np.array([(a.money, a.seconds, a.at_once, a.loss) for a in arms]).T
        return cls(arms, money, seconds, at_once, loss, float((seconds / at_once).min()))


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


def _costs(before: Floats, questions: float, arms: _Arms) -> Floats:
    """Of each way with each arm behind it; see :func:`_with`."""
    found = np.empty((len(before), len(arms.arms), 3))
    found[:, :, 0] = before[:, :1] + questions * arms.money
    found[:, :, 1] = np.maximum(before[:, 1:2], questions * arms.seconds / arms.at_once) + arms.seconds
    found[:, :, 2] = np.minimum(1.0, before[:, 2:] + arms.loss)
    return found.reshape(-1, 3)


def _with(costs: Costs, questions: float, arm: ArmCost) -> Costs:
    """Rows stream through calls one behind the other: the slowest sets the pace, each adds its first answer."""
    money, seconds, loss = costs
    seconds = max(seconds, questions * arm.seconds / arm.at_once) + arm.seconds
    return money + questions * arm.money, seconds, min(1.0, loss + arm.loss)


def cost_of(steps: Sequence[Step], sites: Sequence[Site], rows: float, keeps: Keeps = _independent) -> Point:
    """What a plan costs whose order and arms are given."""
    by_label = {site.label: site for site in sites}
    costs, done = (0.0, 0.0, 0.0), frozenset[str]()
    for step in steps:
        site = by_label[step.site]
        arm = next(arm for arm in site.arms if arm.name == step.arm)
        costs = _with(costs, rows * site.asked, arm)
        rows *= keeps(site, done)
        done |= {site.label}
    return Point(tuple(steps), rows, *costs)
