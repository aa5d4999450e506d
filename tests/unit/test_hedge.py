"""Second attempts at slow calls, in simulated time: what they save, what they cost, and what is left behind."""

from __future__ import annotations

import asyncio
import random

import pytest

from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import ModelUnavailable
from anserdb.udfs.models import sending
from anserdb.udfs.models.base import Generate, Reply, Request
from anserdb.udfs.models.wrap.hedge import Hedge
from anserdb.udfs.models.wrap.limited import Limited
from tests.support.clock import VirtualClock
from tests.support.endpoints import Endpoint, limited, questions

ASK = Generate("", "x")


class Telling(Endpoint):
    """One that says when a request leaves."""

    async def call(self, request: Request) -> Reply:
        sending.sent(self.identity)
        return await super().call(request)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """``asyncio.wait`` with a timeout waits in simulated time."""
    clock, real = VirtualClock(), asyncio.wait

    async def wait(tasks: object, *, timeout: float | None = None, **how: object) -> object:
        timer = asyncio.ensure_future(clock.sleep(timeout)) if timeout is not None else None
        both = [*tasks, *([timer] if timer else [])]  # type: ignore[misc]
        try:
            done, waiting = await real(both, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
        finally:
            if timer:
                timer.cancel()
        return done - {timer}, waiting - {timer}

    monkeypatch.setattr("anserdb.udfs.models.wrap.hedge.asyncio.wait", wait)
    return clock


def one_in(every: int, slow: float, seconds: float = 0.1) -> object:
    """Every so manieth call takes ``slow`` seconds."""
    return lambda number: slow if number % every == every - 1 else seconds


async def taught(model: Limited) -> None:
    """Calls enough that it is known what is slow, and that some may be asked twice."""
    for _ in range(40):
        await model.call(ASK)


async def test_a_straggler_is_answered_by_another_endpoint(clock: VirtualClock) -> None:
    ends = [Telling(clock, lambda number: 9.0 if number > 60 else 0.1, name="a"), Telling(clock, 0.1, name="b")]
    model = limited(Gates(clock), *ends, cap=4, hedge=Hedge(0.2))

    async def work() -> list[float]:
        took: list[float] = []
        while not any(number > 60 for number in [len(ends[0].starts)]):
            await asyncio.gather(*[model.call(ASK) for _ in range(4)])
        for _ in range(5):
            began = clock.now()
            with sending.counted() as books:
                reply = await model.call(ASK)
            took.append(clock.now() - began)
            if books.discarded:
                assert (reply.text, books.count, books.endpoint) == ("b", 1, "b")
                assert [(lost.count, lost.endpoint, bool(lost.why)) for lost in books.discarded] == [(1, "a", True)]
        return took

    took = await clock.run(work())
    assert max(took) < 0.5
    assert ends[0].cancelled >= 1
    assert model.in_flight == ends[0].in_flight == ends[1].in_flight == 0


async def test_the_share_of_second_attempts_is_bounded(clock: VirtualClock) -> None:
    source = random.Random(3)
    endpoint = Endpoint(clock, lambda number: source.choice([0.1] * 18 + [2.0]))
    model = limited(Gates(clock), endpoint, cap=8, hedge=Hedge(0.02))

    async def some() -> None:
        for _ in range(250):
            await model.call(ASK)

    async def work() -> None:
        await asyncio.gather(*[some() for _ in range(4)])

    await clock.run(work())
    assert 1000 < len(endpoint.starts) <= 1020
    assert endpoint.in_flight == model.in_flight == 0


async def test_it_shortens_the_tail_at_one_endpoint_too(clock: VirtualClock) -> None:
    spans = []
    for ratio in (0.0, 0.05):
        endpoint = Endpoint(clock, one_in(50, 5.0), name=f"e{ratio}")  # type: ignore[arg-type]
        model = limited(Gates(clock), endpoint, cap=8, hedge=Hedge(ratio) if ratio else None)
        await clock.run(taught(model))
        began = clock.now()
        await clock.run(asyncio.wait_for(asyncio.gather(*map(model.call, questions(100))), None))
        spans.append(clock.now() - began)
    assert spans[1] < 0.5 * spans[0]


async def test_second_attempts_wait_behind_everybody_else(clock: VirtualClock) -> None:
    endpoint = Endpoint(clock, lambda number: 3.0 if number == 40 else 0.1)
    model = limited(Gates(clock), endpoint, cap=2, hedge=Hedge(0.5))
    order: list[str] = []
    plain = endpoint.call

    async def noted(request: Request) -> Reply:
        order.append(request.user if isinstance(request, Generate) else "")
        return await plain(request)

    endpoint.call = noted  # type: ignore[method-assign]
    await clock.run(taught(model))
    order.clear()
    await clock.run(asyncio.wait_for(asyncio.gather(*map(model.call, questions(10))), None))
    assert order == [f"row {number}" for number in range(10)] + ["row 0"]


async def test_nothing_is_asked_twice_before_it_is_known_what_is_slow(clock: VirtualClock) -> None:
    endpoint = Endpoint(clock, one_in(5, 9.0))  # type: ignore[arg-type]
    model = limited(Gates(clock), endpoint, cap=4, hedge=Hedge(0.5))
    await clock.run(asyncio.wait_for(asyncio.gather(*map(model.call, questions(15))), None))
    assert len(endpoint.starts) == 15


async def test_if_both_fail_the_first_ones_error_is_raised(clock: VirtualClock) -> None:
    ends = [Endpoint(clock, 0.1, up=lambda now: now < 6.0, failing=1.0, name=name) for name in "ab"]
    model = limited(Gates(clock), *ends, cap=4, hedge=Hedge(0.5))
    await clock.run(taught(model))

    async def late() -> None:
        await clock.sleep(6.0)
        with pytest.raises(ModelUnavailable, match="is down"):
            await model.call(ASK)

    await clock.run(late())
    assert model.in_flight == 0


@pytest.mark.parametrize("after", [0, 1, 2, 3, 20])
async def test_cancelling_at_any_moment_leaves_nothing_behind(clock: VirtualClock, after: int) -> None:
    ends = [Endpoint(clock, lambda number: 9.0 if number >= 20 else 0.1, name=name) for name in "ab"]
    model = limited(Gates(clock), *ends, cap=2, hedge=Hedge(0.5))
    await clock.run(taught(model))

    async def work() -> None:
        tasks = [asyncio.create_task(model.call(request)) for request in questions(6)]
        for _ in range(after):
            await asyncio.sleep(0)
        if after == 20:
            await clock.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    await clock.run(work())
    assert model.in_flight == ends[0].in_flight == ends[1].in_flight == 0
    assert model.limit == 4
