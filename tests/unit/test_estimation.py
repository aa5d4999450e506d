"""Intervals hold the truth as often as they say, at whatever look the sample ends; over seeds, and exactly where that can be summed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.optimizer.search.estimation import PILOT, Floats, Interval, Looked, interval, looks
from anserdb.optimizer.search.hypergeometric import count_interval
from anserdb.optimizer.search.sampler import Ints, Number, Sampler

SEEDS = 200
MISSES = 20
"""Of 200 intervals of 95% more than 20 miss with a probability below 1 in 500, if each misses as often as it may."""


@pytest.mark.parametrize(("size", "drawn", "delta"), [(40, 12, 0.1), (60, 30, 0.05), (25, 24, 0.2), (30, 1, 0.05)])
def test_an_interval_of_a_count_covers_every_count_often_enough(size: int, drawn: int, delta: float) -> None:
    ways = math.comb(size, drawn)
    intervals = [count_interval(found, drawn, size, delta) for found in range(drawn + 1)]
    for count in range(size + 1):
        covering = sum(
            math.comb(count, found) * math.comb(size - count, drawn - found)
            for found, (low, high) in enumerate(intervals)
            if low <= count <= high and 0 <= drawn - found <= size - count
        )
        assert covering / ways >= 1 - delta - 1e-9, count


def test_an_interval_of_a_count_is_no_wider_than_it_has_to_be() -> None:
    low, high = count_interval(200, 400, 10_000, 0.05)
    normal = 1.96 * 10_000 * math.sqrt(0.25 / 400 * (1 - 400 / 10_000))
    assert (high - low) / 2 == pytest.approx(normal, rel=0.05)


@dataclass(frozen=True, slots=True)
class World:
    """Rows in groups, some of which count."""

    groups: Ints
    values: Floats
    present: Floats

    def truth(self, kind: str, group: int) -> float:
        here = self.groups == group
        present, values = self.present[here], self.values[here]
        total = float((present if kind == "count" else present * values).sum())
        return total / float(present.sum()) if kind == "avg" else total

    def number(self, kind: str) -> Number:
        values = np.ones_like(self.values) if kind == "count" else self.values
        parts = [values[self.groups == group] for group in range(int(self.groups.max()) + 1)]
        return Number(
            kind != "avg", kind == "count", np.array([p.min() for p in parts]), np.array([p.max() for p in parts])
        )


def world(seed: int) -> World:
    """Two groups of different sizes; values with a long tail that have to do with who counts."""
    dice = np.random.default_rng(seed)
    groups = np.repeat(np.array([0, 1]), [500, 260])
    values = np.minimum(dice.exponential(20.0, len(groups)), 90.0) - 10.0 * groups
    shares = np.where(groups == 0, 0.55, 0.8) * np.where(values > 15, 1.0, 0.8)
    return World(groups, values, (dice.random(len(groups)) < shares).astype(np.float64))


def sampled(rows: World, kinds: list[str], share: float, seed: int) -> Sampler:
    sampler = Sampler(rows.groups, [rows.number(kind) for kind in kinds], share, seed)
    while len(drawn := sampler.draw()):
        there = drawn[rows.present[drawn] > 0]
        for at, kind in enumerate(kinds):
            sampler.see(at, there, np.ones(len(there)) if kind == "count" else rows.values[there])
        sampler.judge()
    return sampler


@pytest.mark.parametrize(("kind", "share"), [("count", 0.12), ("sum", 0.5), ("avg", 0.35)])
def test_intervals_cover_the_truth_wherever_the_sample_ends(kind: str, share: float) -> None:
    missed, partly = [0, 0], 0
    for seed in range(SEEDS):
        rows = world(seed)
        sampler = sampled(rows, [kind], share, seed + 10_000)
        partly += not sampler.whole
        for group in (0, 1):
            (found,) = sampler.estimates(group)
            assert found.low <= found.value <= found.high
            missed[group] += not found.low - 1e-6 <= rows.truth(kind, group) <= found.high + 1e-6
    assert partly > SEEDS * 0.8
    assert max(missed) <= MISSES


def test_a_sum_over_a_sample_is_multiplied_to_one_without_bias() -> None:
    rows, found = world(1), []
    for seed in range(80):
        sampler = Sampler(rows.groups, [rows.number("sum")], 0.1, seed)
        drawn = sampler.draw()
        found.append(float((rows.values * rows.present)[drawn[rows.groups[drawn] == 0]].sum()) * sampler.factors()[0])
    standard_error = float(np.std(found)) / math.sqrt(len(found))
    assert abs(float(np.mean(found)) - rows.truth("sum", 0)) < 4 * standard_error


def test_what_is_asked_whole_is_exact() -> None:
    rows = world(3)
    sampler = sampled(rows, ["count", "sum", "avg"], 1e-9, 1)
    assert sampler.whole
    assert sampler.factors() == [1.0, 1.0]
    for group in (0, 1):
        for kind, found in zip(["count", "sum", "avg"], sampler.estimates(group), strict=True):
            assert found.low == found.high == pytest.approx(rows.truth(kind, group))


def test_a_group_in_which_nothing_counts_is_asked_whole() -> None:
    groups = np.zeros(2000, np.int64)
    sampler = Sampler(groups, [Number(True, True, np.zeros(1), np.ones(1))], 0.5, 1)
    while len(sampler.draw()):
        sampler.judge()
    assert sampler.whole


def test_no_rows_are_no_groups() -> None:
    sampler = Sampler(np.zeros(0, np.int64), [Number(True, True, np.zeros(0), np.zeros(0))], 0.5, 1)
    assert len(sampler.draw()) == 0
    assert sampler.whole


def test_values_without_bounds_are_never_known() -> None:
    rows = np.ones(500)
    found = interval(Looked(rows, rows, 1000, 1.0, math.inf), 0.05)
    assert found.margin(1.0) == math.inf


@given(st.integers(0, 10**6), st.integers(2, 200), st.integers(1, 400), st.booleans())
def test_an_interval_holds_the_sample_and_is_within_what_is_certain(
    seed: int, drawn: int, left: int, ratio: bool
) -> None:
    dice = np.random.default_rng(seed)
    values = dice.uniform(-3.0, 5.0, drawn)
    weights = (dice.random(drawn) < 0.7).astype(np.float64) if ratio else np.ones(drawn)
    looked = Looked(values * weights, weights, drawn + left, -3.0, 5.0)
    found = interval(looked, 0.05)
    assert -3.0 <= found.low <= found.high <= 5.0
    if weights.any():
        assert found.low <= looked.mean + 1e-9
        assert found.high >= looked.mean - 1e-9
    if not ratio:
        known = float(values.sum()) / looked.size
        assert found.low >= known + left * -3.0 / looked.size - 1e-9
        assert found.high <= known + left * 5.0 / looked.size + 1e-9


@given(st.integers(101, 100_000), st.floats(0.0, 200_000.0))
def test_looks_grow_from_the_pilot_to_the_last_row(size: int, needed: float) -> None:
    found = (PILOT, *looks(size, needed))
    assert found[-1] == size
    assert all(a < b for a, b in pairwise(found))


def test_intervals_that_have_nothing_in_common_leave_the_later_one() -> None:
    assert Interval(0.0, 1.0).within(Interval(2.0, 3.0)) == Interval(0.0, 1.0)
