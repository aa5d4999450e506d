"""The memo's frontier against all plans there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations, product
from operator import le
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.search import memo, point
from anserdb.optimizer.search.memo import ArmCost, Memo, Site, cost_of
from anserdb.optimizer.search.point import Point, Step, frontier

_SHARES = st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.9, 1.0])
_NUMBERS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.0, 30.0])


@st.composite
def _sites(draw: st.DrawFn) -> list[Site]:
    made: list[Site] = []
    for label in "abcd"[: draw(st.integers(1, 4))]:
        arms = [
            ArmCost(
                f"m{n}",
                draw(_NUMBERS),
                draw(_NUMBERS),
                draw(st.sampled_from([0.0, 0.02, 0.1])),
                draw(st.sampled_from([1, 8])),
            )
            for n in range(draw(st.integers(1, 3)))
        ]
        needs = frozenset(draw(st.sets(st.sampled_from([s.label for s in made])))) if made else frozenset()
        made.append(Site(label, tuple(arms), draw(_SHARES), draw(st.sampled_from([0.1, 1.0])), needs))
    return made


def _all_plans(sites: Sequence[Site]) -> Iterator[list[Step]]:
    for order in permutations(sites):
        done: set[str] = set()
        if all(site.needs <= done and not done.add(site.label) for site in order):  # type: ignore[func-returns-value]
            for arms in product(*(site.arms for site in order)):
                yield [Step(site.label, arm.name) for site, arm in zip(order, arms, strict=True)]


def _cost(steps: Sequence[Step], sites: Sequence[Site], rows: float) -> Point:
    """What a plan costs, said otherwise than the memo says it: the calls' paces, and the first answers from each on."""
    by_label = {site.label: site for site in sites}
    money = loss = 0.0
    paces: list[float] = []
    firsts: list[float] = []
    for step in steps:
        site = by_label[step.site]
        (arm,) = (arm for arm in site.arms if arm.name == step.arm)
        money += rows * site.asked * arm.money
        loss += arm.loss
        paces.append(rows * site.asked * arm.seconds / arm.at_once)
        firsts.append(arm.seconds)
        rows *= site.keeps
    seconds = max(pace + sum(firsts[at:]) for at, pace in enumerate([0.0, *paces][1:]))
    return Point(tuple(steps), rows, money, seconds, min(1.0, loss))


def _costs(points: Sequence[Point]) -> set[tuple[float, ...]]:
    return {tuple(round(x, 7) for x in (p.money, p.seconds, p.loss)) for p in points}


def _frontier(plans: Sequence[Point]) -> set[tuple[float, ...]]:
    """Costs that no other dominates, by looking at all pairs."""
    costs = _costs(plans)
    return {one for one in costs if not any(other != one and all(map(le, other, one)) for other in costs)}


@contextmanager
def _forgetting(slack: float, many: int) -> Iterator[None]:
    """How much is forgotten, and from how many ways on a coarse look comes first."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(memo, "SLACK", slack)
        patched.setattr(point, "MANY", many)
        yield


@given(_sites(), st.sampled_from([1, 512]))
@settings(max_examples=40, deadline=None)
def test_without_slack_the_frontier_is_that_of_all_plans(sites: list[Site], many: int) -> None:
    plans = [_cost(steps, sites, 1000.0) for steps in _all_plans(sites)]
    with _forgetting(0.0, many):
        found = Memo(sites, 1000.0).plans()
    assert _frontier(found) == _frontier(plans)
    assert [p.money for p in found] == sorted(p.money for p in found)


@given(st.integers(0, 100_000), st.sampled_from([0.005, 1.0]))
@settings(max_examples=8, deadline=None)
def test_who_is_forgotten_has_another_within_the_slack(seed: int, slack: float) -> None:
    dice = Random(seed)
    sites = [
        Site(
            label,
            tuple(
                ArmCost(f"m{n}", dice.random(), dice.random(), 0.1 * dice.random(), dice.choice([1, 8]))
                for n in range(6)
            ),
            dice.choice([1.0, dice.random()]),
        )
        for label in "abc"
    ]
    with _forgetting(slack, 64):
        found = Memo(sites, 1000.0).plans()
    every = frontier([_cost(steps, sites, 1000.0) for steps in _all_plans(sites)])
    assert len(found) <= len(every)
    assert all(any(p.dominates(best, memo.MOST_SLACK + 1e-9) for p in found) for best in every)


@given(_sites())
@settings(max_examples=40, deadline=None)
def test_of_many_calls_only_first_answers_may_come_later_than_in_the_best_order(sites: list[Site]) -> None:
    every = frontier([_cost(steps, sites, 1000.0) for steps in _all_plans(sites)])
    firsts = sum(max(arm.seconds for arm in site.arms) for site in sites)
    with _forgetting(0.0, 512), pytest.MonkeyPatch.context() as patched:
        patched.setattr(memo, "FEW_SITES", 0)
        found = Memo(sites, 1000.0).plans()

    def as_good(one: Point, best: Point) -> bool:
        close = 1 + 1e-9
        return (
            one.money <= best.money * close
            and one.loss <= best.loss * close
            and one.seconds <= (best.seconds + firsts) * close
        )

    assert all(any(as_good(one, best) for one in found) for best in every)


@given(_sites())
@settings(max_examples=30, deadline=None)
def test_a_point_costs_what_its_steps_cost(sites: list[Site]) -> None:
    for one in Memo(sites, 500.0).plans():
        for said in (cost_of(one.steps, sites, 500.0), _cost(one.steps, sites, 500.0)):
            assert (said.money, said.seconds, said.loss, said.rows) == pytest.approx(
                (one.money, one.seconds, one.loss, one.rows)
            )


@given(st.integers(0, 100_000), st.integers(1, 700), st.integers(1, 40), st.sampled_from([0.0, 0.02]))
@settings(max_examples=40, deadline=None)
def test_a_coarse_look_drops_nobody_who_counts(seed: int, count: int, values: int, slack: float) -> None:
    dice = Random(seed)
    costs = [tuple(float(dice.randrange(values)) for _ in range(3)) for _ in range(count)]
    in_order = sorted(range(count), key=costs.__getitem__)
    kept = [in_order[at] for at in point.undominated([costs[at] for at in in_order], slack)]  # type: ignore[misc]
    with _forgetting(0.0, 1):
        assert point.cheapest_first(np.array(costs), slack).tolist() == kept


def test_filters_go_by_cost_over_what_they_drop() -> None:
    sites = [
        Site("dear", (ArmCost("m", 10.0, 1.0),), keeps=0.1),
        Site("cheap", (ArmCost("m", 1.0, 1.0),), keeps=0.5),
        Site("map", (ArmCost("m", 5.0, 1.0),)),
    ]
    (best, *_) = Memo(sites, 100.0).plans()
    assert [step.site for step in best.steps] == ["cheap", "dear", "map"]


def test_what_another_filter_has_dropped_is_no_reason_to_go_early() -> None:
    def keeps(site: Site, done: frozenset[str]) -> float:
        return 1.0 if {site.label, *done} >= {"a", "b"} else site.keeps  # a and b keep the same rows

    sites = [Site(name, (ArmCost("m", 1.0, 0.0),), keeps=0.6 if name == "c" else 0.5) for name in "abc"]
    (best, *_) = Memo(sites, 100.0, keeps).plans()
    assert best.steps[1].site == "c"
    assert best.money == pytest.approx(100 + 50 + 30)


def test_calls_in_a_circle_are_refused() -> None:
    arm = (ArmCost("m", 1.0, 1.0),)
    sites = [Site("a", arm, needs=frozenset("b")), Site("b", arm, needs=frozenset("a"))]
    with pytest.raises(ValueError, match="circle"):
        Memo(sites, 10.0).plans()
