"""How many of the rows each call is asked about, where several of them decide a condition in the order that is cheapest.

The order is that of least expected cost, by the shares that earlier queries taught or else the prior that the engine starts with;
few rows are asked in the order of the prior in any case, because what they say would come too late for them. Shares are as if
answers had nothing to do with each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from ...engine.plan.conjuncts import conjuncts
from ...engine.plan.nodes import Condition, Conjunction, Plan, SemanticCall
from ..asked import asked
from ..context import Statistics
from ..ordering.adaptive import FEW_ROWS, Tuning
from ..ordering.branches import DONE, MOST_BRANCHED, Branches
from ..ordering.chains import chain_order
from ..ordering.predicate import Answer, Keep, Logic, Predicate
from ..ordering.trees import Known, Tree, answered, leaves, renumbered
from .figure import Figure, joined
from .shares import SEMANTIC_SELECTIVITY, feeds, prior_share, usual

MOST_KNOWN = 6
"""Parts known beforehand of which all combinations are looked at; with more of them, calls count in the order of the text."""
EXPLORING = 0.04
"""What it takes to find an order, at most, of what the best one takes."""
Values = tuple[Answer, ...]
"""Of what is known beforehand, in the order of the text."""
Reach = dict[int, float]
"""By place of a call, the share of rows that it is asked about."""


@dataclass(frozen=True, slots=True)
class Together:
    """Calls that decide one condition.

    Parameters
    ----------
    calls : in the order of the text, with the guards that do not depend on answers of each other. base : what they stand on.
    leaves : per call, what of the condition reads its answer. tree : the condition, whose further leaves are known beforehand;
        ``None``: all answers have to be TRUE. keep : what is asked of it.
    """

    calls: tuple[SemanticCall, ...]
    base: Plan
    leaves: tuple[str, ...]
    tree: Tree | None
    keep: Keep = "true"


def together(plan: Conjunction | Condition) -> Together | None:
    """The calls that a node asks together; ``None``: one after the other, as they stand there."""
    if isinstance(plan, Conjunction):
        found = conjuncts(plan)
        names = tuple(call.output.name for call in found.calls)
        return Together(found.calls, found.base, names, None) if len(names) > 1 else None
    several = asked(plan.input, plan.condition, plan.keep)
    if several is None or len(several.calls) > MOST_BRANCHED or len(several.known) > MOST_KNOWN:
        return None
    return Together(several.calls, several.base, several.leaves, several.tree, plan.keep)


def reached(
    one: Together,
    plan: Plan,
    costs: Sequence[float],
    statistics: Statistics,
    rows: float,
    known: Mapping[Values, float] | None = None,
) -> list[Figure]:
    """Per call, the share of rows that it is asked about.

    Parameters
    ----------
    plan : the node that asks them. costs : of a question, by call, in one unit for all. rows : how many there will be.
    known : the share of rows of each combination of what is known beforehand; ``None``: nobody has looked.
    """
    shares = [_share(one, place, plan, statistics) for place in range(len(one.calls))]
    few = rows < FEW_ROWS.first
    way = _Ways(one, tuple(costs), few, known)
    values = [share.value for share in shares]
    likely, source = way.reach(values), joined(*(share.source for share in shares), "cheapest order")
    others = [way.reach(other) for other in _others(shares)]
    some = [] if known else [reach for _, reach in way.each(values)]
    return [_figure(likely[at], source, [o[at] for o in others], [s.get(at, 0.0) for s in some]) for at in likely]


def _figure(likely: float, source: str, others: Sequence[float], known: Sequence[float]) -> Figure:
    """``others`` : if one share were otherwise, each independent of the rest. ``known`` : what it may be for any row."""
    down = math.hypot(*(max(0.0, likely - other) for other in (*others, min(known, default=likely))))
    explored = likely * (1 + EXPLORING)
    up = math.hypot(*(max(0.0, other - likely) for other in (*others, max(known, default=likely), explored)))
    return Figure(likely, source, max(0.0, likely - down), min(1.0, likely + up))


def _others(shares: Sequence[Figure]) -> Iterator[list[float]]:
    """The shares, one of them at an end of its interval."""
    for place, share in enumerate(shares):
        for end in (share.low, share.high):
            if end is not None:
                yield [end if at == place else other.value for at, other in enumerate(shares)]


def _share(one: Together, place: int, plan: Plan, statistics: Statistics) -> Figure:
    """Of rows for which a call's leaf is TRUE."""
    call = one.calls[place]
    if one.leaves[place] != call.output.name:
        return prior_share(SEMANTIC_SELECTIVITY)
    return statistics.selectivity(call, feeds(plan, call)) or usual(call, statistics)


@dataclass(frozen=True)
class _Ways:
    """The reach of calls, by their shares.

    ``few`` : so few rows that nothing is learnt from them.
    """

    one: Together
    costs: tuple[float, ...]
    few: bool
    known: Mapping[Values, float] | None = None

    def reach(self, shares: Sequence[float]) -> Reach:
        """In the cheapest order, a few rows being asked everything to learn it."""
        found = self.each(shares)
        mean: Reach = {place: sum(part * way.get(place, 0.0) for part, way in found) for place in range(len(shares))}
        audited = 0.0 if self.few else self._audited(mean)
        return {place: reach + audited * (1 - reach) for place, reach in mean.items()}

    def each(self, shares: Sequence[float]) -> list[tuple[float, Reach]]:
        """For each combination of what is known beforehand: such rows share an order. And what share of the rows they are."""
        if self.one.tree is None:
            return [(1.0, self._chain(shares))]
        return [(part, self._of_tree(tree, shares)) for part, tree in self._left]

    def _audited(self, found: Reach) -> float:
        spent = sum(self.costs[place] * reach for place, reach in found.items())
        spare, tuning = sum(self.costs) - spent, Tuning()
        return min(tuning.audited, tuning.audit_share * spent / spare) if spare > 0 else 0.0

    def _believed(self, shares: Sequence[float]) -> list[Predicate]:
        """By which an order is found."""
        given = [SEMANTIC_SELECTIVITY] * len(shares) if self.few else shares
        return [Predicate(cost, true=share) for cost, share in zip(self.costs, given, strict=True)]

    def _chain(self, shares: Sequence[float]) -> Reach:
        found, passed = Reach(), 1.0
        for place in chain_order(self._believed(shares), Logic("and")):
            found[place] = passed
            passed *= shares[place]
        return found

    @cached_property
    def _left(self) -> list[tuple[float, Tree]]:
        """What is left of the condition, for each combination of what is known beforehand; of which nobody has looked, all count."""
        tree, calls = self.one.tree, len(self.one.calls)
        assert tree is not None
        known = sorted(place for place in leaves(tree) if place >= calls)
        ways = self.known or dict.fromkeys(product((True, False), repeat=len(known)), 0.5 ** len(known))
        return [(part, answered(tree, dict(zip(known, way, strict=True)), self.one.keep)) for way, part in ways.items()]

    def _of_tree(self, tree: Tree, shares: Sequence[float]) -> Reach:
        places = list(leaves(tree))
        if isinstance(tree, Known) or not places:
            return {}
        branches = Branches(renumbered(tree, {place: number for number, place in enumerate(places)}), self.one.keep)
        believed = self._believed(shares)
        costs = np.array([self.costs[place] for place in places])
        true = np.array([branches.going_on(number, believed[place]) for number, place in enumerate(places)])
        worlds = np.broadcast_to(true[None, :, None], (branches.contexts, len(places), 1))
        order = branches.best(costs, worlds).order(0)
        return {places[number]: reach for number, reach in _walked(order, [shares[p] for p in places]).items()}


def _walked(order: Sequence[int], shares: Sequence[float]) -> Reach:
    """The reach of each predicate on branches."""
    found: Reach = {}
    waiting = [(0, 1.0)]
    while waiting:
        context, passed = waiting.pop()
        if (place := order[context]) == DONE:
            continue
        found[place] = found.get(place, 0.0) + passed
        waiting += [
            (context + 3**place, passed * shares[place]),
            (context + 2 * 3**place, passed * (1 - shares[place])),
        ]
    return found
