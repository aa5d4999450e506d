"""Figures: intervals of products, sums, shares and means, and how long stages take together."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.cost.figure import Figure, exactly, guess, mean, share, spread, student, total
from anserdb.optimizer.cost.wall import StageTime, alone, together

numbers = st.floats(0.01, 1e6)


@st.composite
def figures(draw: st.DrawFn) -> Figure:
    value = draw(numbers)
    return Figure(value, "s", value / draw(st.floats(1, 5)), value * draw(st.floats(1, 5)))


@given(figures(), figures())
@settings(max_examples=60, deadline=None)
def test_a_product_is_less_sure_than_each_factor_and_surer_than_both_at_their_worst(a: Figure, b: Figure) -> None:
    product = a.times(b)
    assert product.low is not None
    assert product.high is not None
    assert a.high is not None
    assert b.high is not None
    assert product.value == pytest.approx(a.value * b.value)
    more = 1 + 1e-9
    assert product.low <= product.value * more
    assert max(a.high / a.value, b.high / b.value) <= product.high / product.value * more
    assert product.high <= a.high * b.high * more


@given(st.lists(figures(), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_sum_is_relatively_no_less_sure_than_its_worst_part(parts: list[Figure]) -> None:
    added = total(parts)
    assert added.low is not None
    assert added.high is not None
    assert added.value == pytest.approx(sum(part.value for part in parts))
    assert sum(part.low or 0.0 for part in parts) * (1 - 1e-9) <= added.low <= added.value * (1 + 1e-9)
    assert added.high <= sum(part.high or 0.0 for part in parts) * (1 + 1e-9)


def test_what_is_exact_adds_nothing_and_what_is_unknown_stays_so() -> None:
    sample, unknown = share(30, 100, "sample"), Figure(3.0, "guess")
    assert sample.low is not None
    assert exactly(1000, "count").times(sample).low == pytest.approx(1000 * sample.low)
    assert (unknown.times(sample).low, total([sample, unknown]).high) == (None, None)
    assert exactly(3, "count").range == ""
    assert exactly(0, "count").times(sample) == Figure(0.0, "count; sample", 0.0, 0.0)
    assert guess(4.0, "prior", 2.0).range == "2.0 to 8.0"
    assert spread(0.0, 0.0) == "0 to 0"


def test_ninety_of_a_hundred_intervals_of_a_mean_hold_it() -> None:
    source, held = random.Random(5), 0
    for _ in range(400):
        seen = [source.lognormvariate(3, 0.3) for _ in range(12)]
        figure = mean(12, sum(seen), sum(x * x for x in seen), "s")
        assert figure.low is not None
        assert figure.high is not None
        held += figure.low <= math.exp(3 + 0.3**2 / 2) <= figure.high
    assert 0.84 <= held / 400 <= 0.95
    assert student(11) == pytest.approx(1.796, rel=0.01)


def stage(device: str, slots: float, calls: float, seconds: float) -> StageTime:
    return StageTime(device, slots, calls, exactly(calls * seconds, "s"), exactly(seconds, "s"))


def test_devices_work_side_by_side_and_sites_of_one_device_one_after_the_other() -> None:
    first, second = stage("a", 10, 1000, 0.1), stage("b", 10, 500, 0.1)
    assert alone(first).value == pytest.approx(10.05)
    apart, shared = together([first, second]), together([first, stage("a", 10, 500, 0.1)])
    assert apart is not None
    assert shared is not None
    assert apart.value == pytest.approx(10.05 + 0.1), "the last row still goes through the second"
    assert shared.value == pytest.approx(15.05 + 0.1)
    assert alone(stage("a", 64, 3, 0.1)).value == pytest.approx(0.1), "what fits in one round takes one"
    assert together([]) is None


def test_declared_rates_make_calls_wait() -> None:
    limited = StageTime("a", 10, 600, exactly(6.0, "s"), exactly(0.01, "s"), at_least=540.0)
    assert alone(limited) == Figure(540.0, "s; declared rates", 540.0, 540.0)
