"""Why a SIMULATED world was missed: what kept the arms of a plan near the cheapest from serving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from anserdb.optimizer.search.chooser import Chooser
from anserdb.optimizer.search.point import Point

from .optimizer_engine import Outcome
from .optimizer_world import Truth, World


def causes(misses: Iterable[tuple[World, Outcome, Point]]) -> Counter[str]:
    """How many worlds were missed for what. ``misses``: the plan beside each is one that would have been near enough.

    A world counts once: an arm that was never tried comes before a proof that did not end, and this before the rest.
    """
    return Counter(min(_of(*miss), key=ORDER.index) for miss in misses)


def easiest(one: World, most: float) -> Point:
    """Of the feasible plans that cost so much at most, the one that loses least: the one that is proved first."""
    every = (one.cost(plan) for plan in one.plans())
    return min((p for p in every if p.money <= most and one.feasible(p)), key=lambda point: point.loss)


def _of(one: World, outcome: Outcome, wanted: Point) -> list[str]:
    served = {step.site: step.arm for step in outcome.plan.steps}
    by_label = {call.site.label: call for call in one.calls}
    other = [step for step in wanted.steps if served[step.site] != step.arm]
    found = [_at(by_label[step.site], outcome.choosers[step.site], step.arm) for step in other]
    return [why for why in found if why] or [OTHERWISE]


def _at(call: Truth, chooser: Chooser, name: str) -> str:
    arm = next(number for number, arm in enumerate(call.site.arms) if arm.name == name)
    return "" if not arm else next(_hindrances(chooser, arm), OTHERWISE)


def _hindrances(chooser: Chooser, arm: int) -> Iterator[str]:
    tally = chooser.tallies[arm]
    if tally.certified is None:
        yield NEVER_TRIED
    elif not tally.certified.won():
        yield NO_PROOF if tally.certified.loss > chooser.levels[-1] else NO_ROOM
    elif chooser.boolean:
        yield F1_OPEN


NEVER_TRIED = "an arm of it was never selected for a proof"
NO_PROOF = "an arm of it had proved nothing when comparing ended"
NO_ROOM = "an arm of it had a proof, of more than the other calls left"
F1_OPEN = "an arm of it had its proof, but not the F1"
OTHERWISE = "something else (its order, or another call's decision)"
ORDER = [NEVER_TRIED, NO_PROOF, NO_ROOM, F1_OPEN, OTHERWISE]
