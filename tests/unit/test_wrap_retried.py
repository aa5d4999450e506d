"""Retries, with stamina's waiting switched off or recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import accumulate

import pytest
import stamina

from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import InvalidAnswer, ModelError, ModelTimeout, ModelUnavailable, RateLimited
from anserdb.udfs.models.base import Generate
from anserdb.udfs.models.scripted import Fault, ScriptedModel
from anserdb.udfs.models.unavailable import Unready, all_failed
from anserdb.udfs.models.wrap.gate import LONGEST_PAUSE_S, Limits
from anserdb.udfs.models.wrap.limited import Limited
from anserdb.udfs.models.wrap.retried import FIRST_WINDOW_S, LONGEST_WINDOW_S, Retried

ASK = Generate("", "row")


@pytest.fixture
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that stamina would have slept."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("stamina._core._smart_sleep", sleep)
    return slept


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("error", [RateLimited("slow"), ModelTimeout("late"), ModelUnavailable("down")])
async def test_a_passing_failure_is_retried_and_counted(error: ModelError) -> None:
    model = ScriptedModel(faults=[Fault("", error, times=2)])
    reply = await Retried(model, max_retries=3).call(ASK)
    assert reply.retries == 2
    assert len(model.calls) == 3


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("error", [ModelError("no such model"), InvalidAnswer("not a choice")])
async def test_a_lasting_failure_is_not(error: ModelError) -> None:
    model = ScriptedModel([("", error)])
    with pytest.raises(type(error)):
        await Retried(model, max_retries=3).call(ASK)
    assert len(model.calls) == 1


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("retries", [0, 1, 4])
async def test_the_last_error_is_raised_after_all_attempts(retries: int) -> None:
    model = ScriptedModel([("", ModelUnavailable("down for good"))])
    with pytest.raises(ModelUnavailable, match="down for good"):
        await Retried(model, max_retries=retries).call(ASK)
    assert len(model.calls) == retries + 1


@pytest.mark.usefixtures("no_waiting")
async def test_a_lasting_failure_ends_the_retries() -> None:
    model = ScriptedModel(faults=[Fault("", ModelUnavailable("down")), Fault("", ModelError("the key expired"))])
    with pytest.raises(ModelError, match="expired"):
        await Retried(model, max_retries=9).call(ASK)
    assert len(model.calls) == 2


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("slow", retry_after_s=11.0),
        Unready("starting", retry_after_s=11.0),
        all_failed([Unready("starting", retry_after_s=30.0), Unready("starting", retry_after_s=11.0)]),
    ],
)
async def test_the_server_s_own_figure_is_honoured(error: ModelError, waits: list[float]) -> None:
    model = ScriptedModel(faults=[Fault("", error, times=3)])
    await Retried(model, max_retries=3).call(ASK)
    assert len(waits) == 3
    assert all(11.0 <= wait <= 11.25 for wait in waits)


async def test_every_attempt_comes_at_any_moment_of_its_window_and_of_no_other(waits: list[float]) -> None:
    """Windows double up to the longest, and follow one another: jitter is full, and no silence of seconds uses up all."""
    seen: list[list[float]] = []
    for _ in range(200):
        waits.clear()
        model = ScriptedModel(faults=[Fault("", ModelUnavailable("down"), times=7)])
        await Retried(model, max_retries=7).call(ASK)
        seen.append(list(accumulate(waits)))
    lengths = [min(LONGEST_WINDOW_S, FIRST_WINDOW_S * 2**number) for number in range(7)]
    ends = list(accumulate(lengths))
    for moments, length, end in zip(zip(*seen, strict=True), lengths, ends, strict=True):
        assert end - length - 1e-9 <= min(moments) < end - 0.9 * length
        assert end - 0.1 * length < max(moments) <= end + 1e-9


async def test_a_server_that_starts_for_longer_than_it_says_is_asked_ever_later(waits: list[float]) -> None:
    """Five times "in a second" would be over before a server of ten seconds is up."""
    model = ScriptedModel(faults=[Fault("", Unready("starting", retry_after_s=1.0), times=5)])
    await Retried(model, max_retries=5).call(ASK)
    assert min(waits) >= 1.0
    assert sum(waits) > 15.0


@pytest.mark.parametrize("kind", [RateLimited, Unready])
async def test_a_server_that_wants_minutes_is_not_waited_for(
    kind: type[RateLimited | Unready], waits: list[float]
) -> None:
    model = ScriptedModel([("", kind("tomorrow", retry_after_s=LONGEST_PAUSE_S + 1))])
    with pytest.raises(kind):
        await Retried(model, max_retries=3).call(ASK)
    assert waits == []


async def test_no_slot_is_held_while_waiting_to_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedModel(faults=[Fault("", ModelUnavailable("down"))])
    limited = Limited(model, Gates(LoopClock()).open(Limits("here", "m", 1)))
    seen: list[int] = []

    async def sleep(seconds: float) -> None:
        seen.append(limited.in_flight)

    monkeypatch.setattr("stamina._core._smart_sleep", sleep)
    await Retried(limited, max_retries=1).call(ASK)
    assert seen == [0]


async def test_cancelling_a_retry_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("stamina._core._smart_sleep", sleep)
    model = ScriptedModel([("", ModelUnavailable("down"))])
    task = asyncio.create_task(Retried(model, max_retries=5).call(ASK))
    await asleep.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(model.calls) == 1
