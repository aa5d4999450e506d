"""Limits in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.dataflow.capacity import Bucket
from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import ModelUnavailable, RateLimited
from anserdb.udfs.models.base import Embed, Generate, Reply, Request, Usage
from anserdb.udfs.models.scripted import Fault, ScriptedModel
from anserdb.udfs.models.unavailable import Unready
from anserdb.udfs.models.wrap.gate import LONGEST_PAUSE_S, Limits
from anserdb.udfs.models.wrap.limited import Limited
from tests.support.clock import VirtualClock


def requests(count: int) -> list[Request]:
    return [Generate("", f"row {i}") for i in range(count)]


def sleeper(
    clock: VirtualClock, seconds: float, starts: list[float] | None = None
) -> Callable[[Request], Awaitable[None]]:
    async def delay(_: Request) -> None:
        if starts is not None:
            starts.append(clock.now())
        await clock.sleep(seconds)

    return delay


def limited(model: ScriptedModel, clock: VirtualClock, cap: int, **rates: float) -> Limited:
    return Limited(model, Gates(clock).open(Limits("here", "m", cap, **rates)))


async def call_all(model: Limited, asked: list[Request]) -> list[Reply | BaseException]:
    return await asyncio.gather(*[model.call(request) for request in asked], return_exceptions=True)


async def test_cap_is_reached_and_never_exceeded() -> None:
    clock = VirtualClock()
    model = ScriptedModel(delay=sleeper(clock, 1.0))
    wrapped = limited(model, clock, cap=4)
    await clock.run(call_all(wrapped, requests(20)))
    assert model.max_in_flight == 4
    assert clock.now() == 5.0  # 20 calls of a second, four at a time
    assert wrapped.in_flight == 0


async def test_calls_are_served_in_the_order_they_came() -> None:
    clock = VirtualClock()
    model = ScriptedModel(delay=sleeper(clock, 1.0))
    asked = requests(30)
    await clock.run(call_all(limited(model, clock, cap=3), asked))
    assert model.calls == asked


async def test_refusals_halve_the_cap_once_a_window_and_successes_raise_it_again() -> None:
    clock = VirtualClock()
    model = ScriptedModel(
        delay=sleeper(clock, 1.0), faults=[Fault(f"^row {i}$", RateLimited("slow down")) for i in range(8)]
    )
    wrapped = limited(model, clock, cap=8)
    await clock.run(call_all(wrapped, requests(8)))
    assert wrapped.limit == 4  # eight refusals of one window are one message
    await clock.run(call_all(wrapped, requests(4)))
    assert wrapped.limit == 5
    await clock.run(call_all(wrapped, requests(100)))
    assert wrapped.limit == 8


async def test_other_failures_leave_the_cap_alone() -> None:
    clock = VirtualClock()
    model = ScriptedModel(faults=[Fault("", ModelUnavailable("down"), times=1)])
    wrapped = limited(model, clock, cap=8)
    await clock.run(call_all(wrapped, requests(8)))
    assert wrapped.limit == 8
    assert wrapped.in_flight == 0


@pytest.mark.parametrize("kind", [RateLimited, Unready])
async def test_retry_after_stops_every_model_of_the_endpoint(kind: type[RateLimited | Unready]) -> None:
    clock, starts = VirtualClock(), list[float]()
    gates = Gates(clock)
    refused = ScriptedModel(faults=[Fault("", kind("wait", retry_after_s=7.0))])
    other = ScriptedModel(delay=sleeper(clock, 0.0, starts))
    first, second = Limited(refused, gates.open(Limits("a", "m", 2))), Limited(other, gates.open(Limits("a", "n", 2)))
    with pytest.raises(kind):
        await clock.run(first.call(requests(1)[0]))
    await clock.run(call_all(second, requests(3)))
    assert min(starts) == 7.0


@pytest.mark.parametrize("kind", [RateLimited, Unready])
async def test_nobody_waits_for_a_server_that_wants_silence_for_hours(kind: type[RateLimited | Unready]) -> None:
    clock = VirtualClock()
    model = ScriptedModel(faults=[Fault("", kind("tomorrow", retry_after_s=LONGEST_PAUSE_S + 1))])
    wrapped = limited(model, clock, cap=2)
    with pytest.raises(kind):
        await clock.run(wrapped.call(requests(1)[0]))
    await clock.run(call_all(wrapped, requests(1)))
    assert clock.now() == 0


async def test_cancelled_callers_leave_no_slot_behind() -> None:
    clock = VirtualClock()
    model = ScriptedModel(delay=sleeper(clock, 1.0))
    wrapped = limited(model, clock, cap=2)
    tasks = [asyncio.create_task(wrapped.call(request)) for request in requests(10)]
    await clock.settle()
    assert wrapped.in_flight == 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (wrapped.in_flight, model.in_flight) == (0, 0)
    await clock.run(call_all(wrapped, requests(2)))
    assert model.max_in_flight == 2


async def test_a_slot_given_to_a_caller_that_is_cancelled_in_the_same_moment_is_passed_on() -> None:
    gate = Gates(LoopClock()).open(Limits("here", "m", 1))
    held = await gate.enter(1)
    first, second = asyncio.create_task(gate.enter(1)), asyncio.create_task(gate.enter(1))
    await asyncio.sleep(0)
    held.leave()  # gives the slot to `first`, which has not run yet …
    first.cancel()  # … and never will
    turn = await asyncio.wait_for(second, 5)
    assert gate.in_flight == 1
    turn.leave()
    assert gate.in_flight == 0


async def test_a_waiter_cancelled_before_its_turn_is_skipped() -> None:
    gate = Gates(LoopClock()).open(Limits("here", "m", 1))
    held = await gate.enter(1)
    first, second = asyncio.create_task(gate.enter(1)), asyncio.create_task(gate.enter(1))
    await asyncio.sleep(0)
    first.cancel()
    held.leave()
    await asyncio.wait_for(second, 5)
    assert gate.in_flight == 1


@given(st.integers(1, 200), st.lists(st.floats(0, 30), min_size=1, max_size=150))
@settings(deadline=None)
def test_no_window_of_a_minute_sees_more_requests_than_allowed(rpm: int, gaps: list[float]) -> None:
    moment, sent, bucket = 0.0, list[float](), Bucket(rpm)
    for gap in gaps:
        moment += gap
        moment += bucket.missing(1, moment)
        bucket.spend(1, moment)
        sent.append(moment)
    for start in sent:
        assert sum(start <= other < start + 60 - 1e-6 for other in sent) <= rpm


async def test_requests_per_minute_space_the_calls() -> None:
    clock, starts = VirtualClock(), list[float]()
    model = ScriptedModel(delay=sleeper(clock, 0.0, starts))
    await clock.run(call_all(limited(model, clock, cap=50, rpm=60), requests(5)))
    assert starts == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0])


async def test_tokens_per_minute_count_what_was_really_used() -> None:
    clock, starts = VirtualClock(), list[float]()
    model = ScriptedModel([("", lambda request: Reply("ok", usage=Usage(10, 0)))], delay=sleeper(clock, 0.0, starts))
    wrapped = limited(model, clock, cap=1, tpm=6000)  # 100 tokens a second, and one second's worth at once
    asked: list[Request] = [Generate("", "", max_tokens=100) for _ in range(11)]
    await clock.run(call_all(wrapped, asked))
    # Ten tokens each were used of the hundred that were reserved: the tenth of the time.
    assert max(starts) == pytest.approx(1.0, abs=0.11)


async def test_a_caller_cancelled_while_it_waits_for_its_rate_gives_its_share_back() -> None:
    clock, starts = VirtualClock(), list[float]()
    model = ScriptedModel(delay=sleeper(clock, 0.0, starts))
    wrapped = limited(model, clock, cap=50, rpm=60)
    await clock.run(wrapped.call(Embed("first")))
    waiting = [asyncio.create_task(wrapped.call(request)) for request in requests(30)]
    await clock.settle()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await clock.run(wrapped.call(Embed("last")))
    assert starts[-1] <= 1.0 + 1e-9
