"""The memo's frontier against all plans there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def _costs(points: Sequence[Point]) -> set[tuple[float, ...]]:
    return {tuple(round(x, 9) for x in (p.money, p.seconds, p.loss, p.rows)) for p in points}


@given(_sites())
@settings(max_examples=60, deadline=None)
def test_the_frontier_is_that_of_all_plans(sites: list[Site]) -> None:
    plans = [cost_of(steps, sites, 1000.0) for steps in _all_plans(sites)]
    found = Memo(sites, 1000.0).plans()
    best = frontier(plans)
    # Where the memo forgets points within half a percent, each plan there is must have one nearly as good.
    assert all(any(p.dominates(b, 0.05) for p in found) for b in best)
    if len(plans) <= 64:
        assert _costs(found) == _costs(best)


@given(_sites())
@settings(max_examples=30, deadline=None)
def test_a_point_costs_what_its_steps_cost(sites: list[Site]) -> None:
    for point in Memo(sites, 500.0).plans():
        assert cost_of(point.steps, sites, 500.0) == point


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
