"""Plans that were not chosen, and why."""

from __future__ import annotations

import pytest

from anserdb.optimizer.search.memo import ArmCost, Site, cost_of
from anserdb.optimizer.search.point import Point, Step
from anserdb.optimizer.search.policy import Policy
from anserdb.optimizer.search.rejected import neighbours, reason, rejected

FILTER = Site("f", (ArmCost("large", 2.0, 1.0), ArmCost("small", 0.1, 0.5, 0.05)), keeps=0.5)
LABEL = Site("l", (ArmCost("large", 4.0, 1.0), ArmCost("small", 0.2, 0.5, 0.2)))
BEST = (Step("f", "large"), Step("l", "large"))


def test_neighbours_are_each_other_arm_and_each_swap() -> None:
    chosen = cost_of(BEST, (FILTER, LABEL), 100)
    found = {point.steps for point in neighbours(chosen, (FILTER, LABEL), 100)} - {BEST}
    assert found == {
        (Step("f", "small"), Step("l", "large")),
        (Step("f", "large"), Step("l", "small")),
        (Step("l", "large"), Step("f", "large")),
    }


def test_what_needs_an_answer_stays_behind_it() -> None:
    reader = Site("l", LABEL.arms, needs=frozenset({"f"}))
    chosen = cost_of(BEST, (FILTER, reader), 100)
    assert all([step.site for step in point.steps] == ["f", "l"] for point in neighbours(chosen, (FILTER, reader), 100))


@pytest.mark.parametrize(
    ("policy", "money", "seconds", "loss", "why"),
    [
        (Policy("cost", 0.9), 3.0, 1.0, 0.0, "dearer: 3.0 times the money"),
        (Policy("time", 0.9), 3.0, 2.0, 0.0, "slower: 2.0 times the time"),
        (Policy("cost", 0.9), 0.5, 1.0, 0.2, "below llm_min_quality = 0.9 (it agrees in 80% at least)"),
        (Policy("cost"), 0.5, 1.0, 0.2, "answers may not change"),
        (Policy("time", 0.9, max_cost_usd=2.0), 3.0, 0.5, 0.0, "above llm_max_cost_usd = 2"),
        (Policy("cost", 0.9, max_seconds=2.0), 0.5, 3.0, 0.0, "above llm_max_seconds = 2"),
        (Policy("quality", 0.5), 0.5, 1.0, 0.2, "agrees less: 80%"),
    ],
)
def test_a_reason_is_what_it_misses_or_is_worse_in(
    policy: Policy, money: float, seconds: float, loss: float, why: str
) -> None:
    chosen = Point((), 10, 1.0, 1.0, 0.0)
    said = reason(policy, chosen, Point((Step("f", "x"),), 10, money, seconds, loss))
    assert why in said


def test_the_best_of_the_others_come_first_and_each_once() -> None:
    chosen, near, far, bad = (
        Point((Step("f", name),), 10, money, 1.0, loss)
        for name, money, loss in (("a", 1.0, 0.0), ("b", 2.0, 0.0), ("c", 3.0, 0.0), ("d", 0.1, 0.5))
    )
    equal = Point((Step("f", "e"),), 10, 1.0, 1.0, 0.0)  # nothing speaks against it
    found = rejected(Policy("cost", 0.9), chosen, [bad, far, near, near, equal, chosen], most=3)
    assert [other.point for other in found] == [near, far, bad]
