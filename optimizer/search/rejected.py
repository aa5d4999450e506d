"""Plans that were not chosen, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter

from .memo import Site, cost_of
from .point import Point, Step
from .policy import Policy

MOST = 3
NOTICED = 0.001
"""Shares below this are no reason."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A plan and what speaks against it, in words."""

    point: Point
    why: str


def rejected(policy: Policy, chosen: Point, points: Sequence[Point], most: int = MOST) -> tuple[Rejected, ...]:
    """The best of the others, each with a reason.

    Parameters
    ----------
    points : plans, among them the chosen one; of those with the same steps one is enough.
    """
    others = {point.steps: point for point in points if point.steps != chosen.steps}
    ranked = sorted(others.values(), key=lambda point: (policy.violation(point), policy.rank(point)))
    reasons = ((point, reason(policy, chosen, point)) for point in ranked)
    return tuple(Rejected(point, why) for point, why in islice(filter(itemgetter(1), reasons), most))


def reason(policy: Policy, chosen: Point, point: Point) -> str:
    """Why a plan is not the one: what it misses, else what it is worse in, the objective first; "": it is as good.

    >>> mine, other = Point((), 1, 1.0, 1.0, 0.0), Point((), 1, 2.5, 1.0, 0.0)
    >>> reason(Policy("cost"), mine, other)
    'dearer: 2.5 times the money'
    """
    misses = [*_misses(policy, point)]
    if misses and policy.violation(point) > policy.violation(chosen):
        return "; ".join(misses)
    worse = {
        "cost": _times(point.money, chosen.money, "dearer", "the money"),
        "time": _times(point.seconds, chosen.seconds, "slower", "the time"),
        "quality": f"agrees less: {point.quality:.0%}" if point.loss > chosen.loss + NOTICED else "",
    }
    first = worse.pop(policy.objective)
    return first or next(filter(None, worse.values()), "")


def neighbours(chosen: Point, sites: Sequence[Site], rows: float) -> Iterator[Point]:
    """Plans that differ from one in a single arm, or in two calls that change places."""
    by_label, steps = {site.label: site for site in sites}, chosen.steps
    for at, step in enumerate(steps):
        for arm in by_label[step.site].arms:
            yield cost_of((*steps[:at], Step(step.site, arm.name), *steps[at + 1 :]), sites, rows)
        if at and steps[at - 1].site not in by_label[step.site].needs:
            yield cost_of((*steps[: at - 1], step, steps[at - 1], *steps[at + 1 :]), sites, rows)


def _misses(policy: Policy, point: Point) -> Iterator[str]:
    least = 1.0 if policy.min_quality is None else policy.min_quality
    if point.quality < least - 1e-12:
        allowed = "answers may not change" if policy.min_quality is None else f"below llm_min_quality = {least:g}"
        yield f"{allowed} (it agrees in {point.quality:.0%} at least)"
    if policy.max_cost_usd is not None and point.money > policy.max_cost_usd:
        yield f"above llm_max_cost_usd = {policy.max_cost_usd:g}"
    if policy.max_seconds is not None and point.seconds > policy.max_seconds:
        yield f"above llm_max_seconds = {policy.max_seconds:g}"


def _times(mine: float, theirs: float, word: str, what: str) -> str:
    if mine <= theirs * (1 + NOTICED):
        return ""
    return (
        f"{word}: {mine / theirs:,.1f} times {what}" if theirs > 0 else f"{word}: {what} of the chosen one is nothing"
    )
