"""SIMULATED worlds whose truth is known: calls of a query, arms that may answer them, and every plan enumerated.

Nothing here is measured on a model. Parameters are drawn from the ranges below, which were written before the first run. An
arm differs from the reference in a share of rows that is its *loss*; hard rows are hard for all arms of a call (a Gaussian copula).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from statistics import NormalDist

from anserdb.optimizer.search.memo import ArmCost, Site, cost_of
from anserdb.optimizer.search.point import Point, Step

MIN_QUALITY = 0.9
ROWS = (2_000, 10_000)
ARMS = (3, 5)
KEEPS = (0.2, 0.8)
REFERENCE_USD = (0.5, 5.0)
SHARE_OF_REFERENCE = (0.02, 0.7)
LOSS = (0.002, 0.4)
USELESS_LOSS = (0.3, 0.6)
SHARED_DIFFICULTY = 0.5
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Truth:
    """A call. ``filters``: it keeps a share of rows; else it names one of many labels. Arm 0 is the reference, and is right."""

    site: Site
    filters: bool

    @property
    def losses(self) -> list[float]:
        """Per arm, the share of rows in which it differs from the reference."""
        return [arm.loss for arm in self.site.arms]

    def row(self, chance: random.Random) -> tuple[object, ...]:
        """What each arm says about one row."""
        right: object = chance.random() < self.site.keeps if self.filters else chance.randrange(1_000)
        hard = chance.gauss(0, 1)
        said = [right]
        for arm in self.site.arms[1:]:
            z = math.sqrt(SHARED_DIFFICULTY) * hard + math.sqrt(1 - SHARED_DIFFICULTY) * chance.gauss(0, 1)
            wrong = z > _NORMAL.inv_cdf(1 - arm.loss)
            said.append((not right if self.filters else -1) if wrong else right)
        return tuple(said)


@dataclass(frozen=True, slots=True)
class World:
    """A query over ``rows`` rows: its calls may be made in any order."""

    rows: int
    calls: tuple[Truth, ...]

    @property
    def sites(self) -> tuple[Site, ...]:
        """As the search sees them."""
        return tuple(call.site for call in self.calls)

    def cost(self, plan: tuple[Step, ...]) -> Point:
        """What a plan truly costs."""
        return cost_of(plan, self.sites, self.rows)

    def plans(self) -> Iterator[tuple[Step, ...]]:
        """All of them: every order with every choice of arms."""
        for order in permutations(self.sites):
            for arms in product(*(site.arms for site in order)):
                yield tuple(Step(site.label, arm.name) for site, arm in zip(order, arms, strict=True))

    def champion(self) -> Point:
        """The reference for all calls, in the best order: the baseline is not handicapped."""
        every = [self.cost(plan) for plan in self.plans() if all(step.arm == "reference" for step in plan)]
        return min(every, key=lambda point: point.money)

    def cheapest(self) -> Point:
        """The cheapest plan that is truly feasible."""
        return min((p for p in map(self.cost, self.plans()) if self.feasible(p)), key=lambda point: point.money)

    def feasible(self, point: Point) -> bool:
        """The contract of ``llm_min_quality``: losses of calls add up to what is allowed at most, and so much F1 is left."""
        return point.loss <= 1 - MIN_QUALITY + 1e-9 and self.f1(point.steps) >= MIN_QUALITY

    def f1(self, plan: tuple[Step, ...]) -> float:
        """Of the rows that all filters keep, against those of the reference; exact, as calls err independently."""
        mine = theirs = both = 1.0
        arm_of = {step.site: step.arm for step in plan}
        for call in (call for call in self.calls if call.filters):
            loss = next(arm.loss for arm in call.site.arms if arm.name == arm_of[call.site.label])
            keeps = call.site.keeps
            theirs *= keeps
            both *= keeps * (1 - loss)
            mine *= keeps * (1 - loss) + (1 - keeps) * loss
        return 2 * both / (mine + theirs)


def world(seed: int, *, useless: bool = False) -> World:
    """A world of two or three calls with three to five arms each. ``useless`` : no arm but the reference is any good."""
    chance = random.Random(seed)
    calls = tuple(_call(chance, number, useless) for number in range(2 + seed % 2))
    return World(chance.randint(*ROWS), calls)


def _call(chance: random.Random, number: int, useless: bool) -> Truth:
    filters = number > 0
    usd = _log_uniform(chance, REFERENCE_USD)
    count = chance.randint(*ARMS) - 1
    # A cheaper arm is the worse one in most cases, not always: one in four has its place drawn anew.
    costs = sorted(_log_uniform(chance, SHARE_OF_REFERENCE) for _ in range(count))
    losses = sorted((_log_uniform(chance, USELESS_LOSS if useless else LOSS) for _ in range(count)), reverse=True)
    if chance.random() < 0.25:
        chance.shuffle(losses)
    arms = [
        ArmCost(f"arm {n}", usd * cost, cost, loss) for n, (cost, loss) in enumerate(zip(costs, losses, strict=True), 1)
    ]
    keeps = chance.uniform(*KEEPS) if filters else 1.0
    return Truth(Site(f"call {number}", (ArmCost("reference", usd, 1.0), *arms), keeps), filters)


def _log_uniform(chance: random.Random, between: tuple[float, float]) -> float:
    return math.exp(chance.uniform(*map(math.log, between)))
