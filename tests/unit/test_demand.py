"""How many rows a LIMIT starts."""

from __future__ import annotations

import asyncio
import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.engine.dataflow.demand import Demand


def serve(demand: Demand, rows: list[bool]) -> int:
    """Start rows as demanded and finish them in order, the oldest first; returns how many were started."""
    under_way: deque[bool] = deque()
    started = 0
    while not demand.done() and (under_way or started < len(rows)):
        wave = min(demand.allowance, len(rows) - started)
        demand.started += wave
        under_way.extend(rows[started : started + wave])
        started += wave
        assert len(under_way) <= demand.cap
        if not under_way:
            break
        if under_way.popleft():
            demand.passed(1)
        else:
            demand.dropped(1)
    return started


@given(st.lists(st.booleans(), min_size=1, max_size=400), st.integers(1, 30), st.integers(1, 64))
def test_never_more_than_cap_rows_are_started_in_vain_and_none_too_few(rows: list[bool], limit: int, cap: int) -> None:
    started = serve(Demand(limit, cap), rows)
    passing = [number for number, passes in enumerate(rows) if passes]
    needed = passing[limit - 1] + 1 if len(passing) >= limit else len(rows)
    assert needed <= started < needed + cap


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("limit", [1, 10, 100])
def test_calls_stay_within_one_and_a_half_times_what_the_limit_needs_plus_cap(limit: int, share: float) -> None:
    dice, cap, calls = random.Random(limit * 1000 + int(share * 100)), 64, 0
    for _ in range(40):
        calls += serve(Demand(limit, cap), [dice.random() < share for _ in range(60_000)])
    assert calls / 40 <= 1.5 * limit / share + cap


def test_the_first_wave_is_twice_the_limit_and_later_ones_follow_the_share() -> None:
    demand = Demand(10, cap=1000)
    assert demand.allowance == 20
    demand.started += 20
    demand.passed(1)
    demand.dropped(19)
    assert demand.share == pytest.approx(2 / 22)
    assert demand.allowance == 99  # 9 more at one in eleven


def test_without_filters_it_starts_what_is_asked() -> None:
    demand = Demand(10, cap=64, selective=False)
    assert demand.allowance == 10


async def test_take_waits_for_room_and_ends_when_enough_was_found() -> None:
    demand = Demand(2, cap=2)
    assert await demand.take(100) == 2
    waiting = asyncio.create_task(demand.take(100))
    await asyncio.sleep(0)
    assert not waiting.done()
    demand.dropped(1)
    assert await waiting == 1
    waiting = asyncio.create_task(demand.take(100))
    demand.passed(2)
    assert await waiting == 0
    assert demand.done()
