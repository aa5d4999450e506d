"""The circuit breaker, in simulated time: little is asked of a dead endpoint, no row is lost to it, nobody hears later of it."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.dataflow import breaker as module
from anserdb.engine.dataflow.breaker import FIRST_REST_S, LONGEST_REST_S, MOST_FAILURES, Breaker
from anserdb.engine.dataflow.devices import LiveDevice
from anserdb.engine.dataflow.dispatcher import Dispatcher
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.dataflow.graph_run import run_graph
from anserdb.engine.dataflow.resources import Device
from anserdb.engine.dataflow.stage_graph import Kind, Stage, StageGraph, Work
from anserdb.engine.errors import ModelError, ModelTimeout, ModelUnavailable
from anserdb.udfs.models.base import Generate, Reply
from anserdb.udfs.models.scripted import Fault, ScriptedModel
from anserdb.udfs.models.wrap.gate import Limits
from anserdb.udfs.models.wrap.limited import Limited
from anserdb.udfs.models.wrap.retried import Retried
from tests.support.clock import VirtualClock
from tests.support.endpoints import Endpoint, limited, questions


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """Retries wait in simulated time, all of them as long as they may."""
    clock = VirtualClock()
    monkeypatch.setattr("stamina._core._smart_sleep", clock.sleep)
    return clock


async def ask_all(model: Retried, count: int) -> list[Reply | BaseException]:
    return await asyncio.gather(*map(model.call, questions(count)), return_exceptions=True)


async def test_a_blip_costs_no_row_and_few_requests(clock: VirtualClock) -> None:
    dead = Endpoint(clock, 0.05, up=lambda now: not 0.3 <= now < 4.0)
    model = Retried(limited(Gates(clock), dead, cap=64), max_retries=5)
    replies = await clock.run(ask_all(model, 1000))
    assert all(isinstance(reply, Reply) for reply in replies)
    while_dead = [at for at in dead.starts if 0.3 <= at < 4.0]
    assert (
        len(while_dead) <= MOST_FAILURES + 64 + 4
    )  # who was under way, and those that went alone: 0.5 + 1 + 2 seconds apart
    assert dead.in_flight == 0


async def test_without_a_breaker_the_same_blip_is_hammered(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FAILURES", 10**9)
    dead = Endpoint(clock, 0.05, up=lambda now: not 0.3 <= now < 4.0)
    await clock.run(ask_all(Retried(limited(Gates(clock), dead, cap=64), max_retries=5), 1000))
    assert sum(0.3 <= at < 4.0 for at in dead.starts) > 1000


@pytest.mark.parametrize("failing", [0.0, 3.0])
async def test_a_dead_endpoint_is_reported_no_later_than_without(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, failing: float
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    took: list[float] = []
    for most in (MOST_FAILURES, 10**9):
        monkeypatch.setattr(module, "MOST_FAILURES", most)
        began, dead = clock.now(), Endpoint(clock, 1.0, up=lambda now: False, failing=failing, name=f"e{most}")
        replies = await clock.run(ask_all(Retried(limited(Gates(clock), dead, cap=16), max_retries=5), 100))
        assert {str(reply) for reply in replies} == {f"e{most} is down"}
        took.append(clock.now() - began)
    assert took[0] <= took[1]


async def test_one_call_at_a_time_finds_out_ever_more_rarely(clock: VirtualClock) -> None:
    dead = Endpoint(clock, 0.1, up=lambda now: now >= 20)
    model = limited(Gates(clock), dead, cap=8)

    async def insist() -> None:
        while True:
            try:
                await model.call(Generate("", "x"))
            except ModelUnavailable:
                await clock.sleep(0.01)
            else:
                return

    async def work() -> None:
        await asyncio.gather(*[insist() for _ in range(8)])

    await clock.run(work())
    alone = dead.starts[16:]
    gaps = [b - a for a, b in itertools.pairwise(alone) if b < 20]
    assert gaps[0] == pytest.approx(2 * FIRST_REST_S, abs=0.02)
    assert max(gaps) == pytest.approx(LONGEST_REST_S, abs=0.02)
    assert dead.most == 8
    assert dead.answered == 8


async def test_who_comes_while_one_finds_out_waits_for_its_fate(clock: VirtualClock) -> None:
    """A model that needs half a minute for an answer is alive all the while; retries must not run out meanwhile."""
    slow = Endpoint(clock, 30.0, up=lambda now: now >= 2.0)
    replies = await clock.run(ask_all(Retried(limited(Gates(clock), slow, cap=16), max_retries=4), 16))
    assert all(isinstance(reply, Reply) for reply in replies)


async def test_the_circuit_is_the_endpoints(clock: VirtualClock) -> None:
    gates = Gates(clock)
    dead = Endpoint(clock, 0.1, up=lambda now: False)
    other = ScriptedModel()
    neighbour, elsewhere = (Limited(other, gates.open(Limits(name, "n", 4))) for name in ("e", "f"))
    await clock.run(ask_all(Retried(limited(gates, dead, cap=16), max_retries=0), 16))
    with pytest.raises(ModelUnavailable, match="e is down"):
        await neighbour.call(Generate("", "x"))
    assert other.calls == []
    await elsewhere.call(Generate("", "x"))


async def test_answers_of_calls_begun_before_close_it(clock: VirtualClock) -> None:
    async def delay(request: object) -> None:
        await clock.sleep(0.2 if "late" in str(request) else 0.0)

    flaky = ScriptedModel(faults=[Fault("early", ModelUnavailable("down"), times=99)], delay=delay)
    gate = Gates(clock).open(Limits("e", "m", 99))
    model = Limited(flaky, gate)

    async def work() -> None:
        late = asyncio.create_task(model.call(Generate("", "late")))
        await asyncio.gather(*[model.call(Generate("", "early")) for _ in range(12)], return_exceptions=True)
        assert gate.device.breaker.open
        await late
        assert not gate.device.breaker.open

    await clock.run(work())


@pytest.mark.parametrize(
    ("error", "opens"), [(ModelUnavailable("x"), True), (ModelTimeout("x"), False), (ModelError("x"), False)]
)
async def test_only_who_cannot_answer_is_left_alone(clock: VirtualClock, error: ModelError, opens: bool) -> None:
    gate = Gates(clock).open(Limits("e", "m", 99))
    model = Limited(ScriptedModel([("", error)]), gate)
    await clock.run(ask_all(Retried(model, max_retries=0), 30))
    assert gate.device.breaker.open is opens


async def test_a_cancelled_probe_says_nothing_and_the_next_one_asks(clock: VirtualClock) -> None:
    endpoint = Endpoint(clock, 5.0, up=lambda now: now > 0.1)
    gates = Gates(clock)
    model = limited(gates, endpoint, cap=16)
    await clock.run(ask_all(Retried(model, max_retries=0), 16))

    async def work() -> None:
        await clock.sleep(FIRST_REST_S)
        probe, waiting = (asyncio.create_task(model.call(Generate("", name))) for name in "pw")
        await clock.sleep(0.5)
        assert endpoint.in_flight == 1
        probe.cancel()
        await clock.sleep(0.1)
        assert endpoint.in_flight == 1  # the one that waited
        await waiting

    await clock.run(work())


async def test_a_graph_that_waits_for_a_dead_device_ends(clock: VirtualClock) -> None:
    dispatcher, device = Dispatcher(clock), LiveDevice(Device("api", "endpoint", 1))
    graph = StageGraph(tuple(Stage(f"s{n}", Kind.MODEL, work=Work("m"), devices=("api",)) for n in range(3)))

    async def work(stage: Stage, where: str) -> None:
        for _ in range(MOST_FAILURES):
            device.breaker.failed(_Nothing(), ModelUnavailable("dead"), clock.now())
        dispatcher.bar()
        await clock.sleep(99.0)

    with pytest.raises(ModelUnavailable, match="dead"):
        await clock.run(run_graph(dispatcher, graph, {"api": device}, work))
    assert device.slots.in_flight == 0
    assert clock.now() < 99


def test_calls_that_fail_by_chance_do_not_open_it() -> None:
    """One in five, a hundred thousand times."""
    source, breaker, need, opened = random.Random(1), Breaker(), _Nothing(), 0
    for _ in range(100_000):
        if source.random() < 0.2:
            opened += breaker.failed(need, ModelUnavailable("x"), 0.0)
        else:
            breaker.succeeded()
    assert opened == 0


class _Nothing:
    tokens = used = memory = epoch = 0


@given(
    # So far apart that no call meets two of them: its fifth attempt comes 15 s after its first at the earliest.
    st.lists(st.tuples(st.floats(0.2, 3.0), st.floats(15.0, 30.0)), max_size=3),
    st.integers(1, 20),
    st.floats(0.01, 1),
)
@settings(max_examples=25, deadline=None)
def test_no_silence_of_seconds_costs_a_row(silences: list[tuple[float, float]], cap: int, seconds: float) -> None:
    clock, down, at = VirtualClock(), list[tuple[float, float]](), 0.5
    for lasts, until_next in silences:
        down.append((at, at + lasts))
        at += lasts + until_next
    endpoint = Endpoint(clock, seconds, up=lambda now: not any(a <= now < b for a, b in down))

    async def work() -> list[Reply | BaseException]:
        return await ask_all(Retried(limited(Gates(clock), endpoint, cap=cap), max_retries=5), 60)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stamina._core._smart_sleep", clock.sleep)
        replies = asyncio.run(clock.run(work()))
    assert all(isinstance(reply, Reply) for reply in replies)
    assert endpoint.answered == 60
    for begin, end in down:
        assert sum(begin <= start < end for start in endpoint.starts) <= MOST_FAILURES + cap + 4
