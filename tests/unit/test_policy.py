"""Which point of a frontier a policy takes."""

from __future__ import annotations

import pytest

from anserdb.engine.errors import InfeasiblePlan
from anserdb.optimizer.search.point import Point, Step, frontier
from anserdb.optimizer.search.policy import Policy

DEAR = Point((Step("1:LLM_FILTER", "large"),), 10, 10.0, 100.0, 0.0)
MIDDLE = Point((Step("1:LLM_FILTER", "small"),), 10, 1.0, 60.0, 0.04)
FAST = Point((Step("1:LLM_FILTER", "tiny"),), 10, 2.0, 5.0, 0.2)
POINTS = (MIDDLE, FAST, DEAR)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(), DEAR),
        (Policy("cost"), DEAR),  # nobody allowed other answers
        (Policy("cost", min_quality=0.95), MIDDLE),
        (Policy("time", min_quality=0.7), FAST),
        (Policy("quality", min_quality=0.5, max_cost_usd=5.0), MIDDLE),
        (Policy("quality", min_quality=0.5, max_cost_usd=5.0, max_seconds=10.0), FAST),
    ],
)
def test_the_best_feasible_point(policy: Policy, expected: Point) -> None:
    assert policy.choose(POINTS) is expected


def test_the_nearest_is_named_when_nothing_is_feasible() -> None:
    policy = Policy("cost", min_quality=0.97, max_cost_usd=1.0)
    with pytest.raises(
        InfeasiblePlan, match=r"No plan meets llm_min_quality = 0.97 and llm_max_cost_usd = 1.*by small"
    ):
        policy.choose(POINTS)


def test_best_effort_takes_the_nearest() -> None:
    assert Policy("cost", min_quality=0.97, max_cost_usd=1.0, best_effort=True).choose(POINTS) is MIDDLE


def test_a_frontier_drops_what_is_worse_in_everything() -> None:
    worse = Point((), 10, 11.0, 100.0, 0.0)
    assert set(frontier([worse, *POINTS])) == set(POINTS)


def test_fewer_rows_are_a_reason_to_stay() -> None:
    fewer = Point((), 5, 11.0, 100.0, 0.0)
    assert fewer in frontier([DEAR, fewer])
