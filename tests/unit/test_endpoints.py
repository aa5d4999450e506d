"""One model at several endpoints, in simulated time: who gets which call, and what becomes of one that dies."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import ModelUnavailable
from anserdb.udfs.models.base import Generate, ModelSpec, Reply
from anserdb.udfs.models.registry import open_model
from anserdb.udfs.models.unavailable import Unready
from anserdb.udfs.models.wrap.gate import Limits
from anserdb.udfs.models.wrap.limited import Limited
from tests.support.clock import VirtualClock
from tests.support.endpoints import Endpoint, limited, questions


async def all_of(model: Limited, count: int) -> list[Reply | BaseException]:
    return await asyncio.gather(*map(model.call, questions(count)), return_exceptions=True)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def test_endpoints_share_the_load_by_their_speed(clock: VirtualClock) -> None:
    fast, slow = Endpoint(clock, 0.05, name="fast"), Endpoint(clock, 0.2, name="slow")
    await clock.run(all_of(limited(Gates(clock), fast, slow, cap=8), 1000))
    ideal = 1000 / (8 / 0.05 + 8 / 0.2)
    assert clock.now() <= 1.05 * ideal
    assert len(fast.starts) / len(slow.starts) == pytest.approx(4, rel=0.1)


async def test_the_last_calls_do_not_go_to_the_slow_one(clock: VirtualClock) -> None:
    fast, slow = Endpoint(clock, 0.05, name="fast"), Endpoint(clock, 5.0, name="slow")
    model = limited(Gates(clock), fast, slow, cap=4)
    await clock.run(all_of(model, 8))  # nothing is known yet
    before, began = len(slow.starts), clock.now()
    await clock.run(all_of(model, 40))
    assert clock.now() - began <= 40 / 4 * 0.05 + 0.01
    assert len(slow.starts) == before


async def test_a_long_queue_is_worth_the_slow_one(clock: VirtualClock) -> None:
    fast, slow = Endpoint(clock, 0.05, name="fast"), Endpoint(clock, 5.0, name="slow")
    model = limited(Gates(clock), fast, slow, cap=4)
    await clock.run(all_of(model, 2000))
    assert len(slow.starts) > 4
    assert clock.now() < 2000 / 4 * 0.05 + 5.0  # 30 s of either alone would be 25 and 2,500


async def test_equal_ones_get_equal_shares_also_under_light_load(clock: VirtualClock) -> None:
    ends = [Endpoint(clock, 0.1, name=name) for name in "abc"]
    await clock.run(all_of(limited(Gates(clock), *ends, cap=16), 24))
    assert [len(end.starts) for end in ends] == [8, 8, 8]


async def test_who_is_fast_again_is_used_again(clock: VirtualClock) -> None:
    other = Endpoint(clock, 0.2, name="other")
    changing = Endpoint(clock, lambda number: 4.0 if clock.now() < 10 else 0.05, name="changing")
    model = limited(Gates(clock), changing, other, cap=4)

    async def one_after_the_other() -> None:
        while clock.now() < 120:
            await model.call(Generate("", "x"))

    await clock.run(one_after_the_other())
    assert sum(start > 90 for start in changing.starts) > 5 * sum(start > 90 for start in other.starts)


async def test_a_dead_one_drains_without_losing_a_row_or_a_retry(clock: VirtualClock) -> None:
    dies = Endpoint(clock, 0.05, up=lambda now: now < 0.4, name="dies")
    lives = Endpoint(clock, 0.05, name="lives")
    replies = await clock.run(all_of(limited(Gates(clock), dies, lives, cap=8), 400))
    assert all(isinstance(reply, Reply) for reply in replies)
    assert clock.now() < 0.4 + 400 * 0.05 / 8
    late = [at for at in dies.starts if at >= 0.4]
    assert len(late) <= 10 + 8 + clock.now() / 0.5


async def test_one_that_comes_back_gets_calls_again(clock: VirtualClock) -> None:
    flaky = Endpoint(clock, 0.05, up=lambda now: not 0.4 <= now < 3, name="flaky")
    lives = Endpoint(clock, 0.05, name="lives")
    replies = await clock.run(all_of(limited(Gates(clock), flaky, lives, cap=8), 3000))
    assert all(isinstance(reply, Reply) for reply in replies)
    assert sum(at > 5 for at in flaky.starts) > 0.4 * sum(at > 5 for at in [*flaky.starts, *lives.starts])


async def test_nobody_waits_for_one_that_hangs(clock: VirtualClock) -> None:
    """It was the faster one, all its slots are taken, and no answer comes any more."""
    hangs = Endpoint(clock, lambda number: 0.05 if number < 40 else 1e6, name="hangs")
    slower = Endpoint(clock, 0.2, name="slower")
    model, done = limited(Gates(clock), hangs, slower, cap=2), Counter[str]()

    async def ask() -> None:
        done[(await model.call(Generate("", "x"))).text] += 1

    async def work() -> None:
        tasks = [asyncio.create_task(ask()) for _ in range(100)]
        while sum(done.values()) < 98:
            await clock.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    await clock.run(work())
    assert done["hangs"] == 40
    assert clock.now() < 10


async def test_if_all_are_down_the_row_fails_as_with_one(clock: VirtualClock) -> None:
    ends = [Endpoint(clock, 0.05, up=lambda now: False, name=name) for name in "ab"]
    replies = await clock.run(all_of(limited(Gates(clock), *ends, cap=8), 100))
    assert all(isinstance(reply, ModelUnavailable) for reply in replies)
    told = "None of the 2 endpoints of model m answers: a is down; b is down. Check that these servers run"
    assert {str(reply)[: len(told)] for reply in replies} == {told}  # also of those that were not sent
    assert sum(len(end.starts) for end in ends) <= 2 * (10 + 8)


async def test_nobody_waits_for_one_that_asked_to_be_left_alone(clock: VirtualClock) -> None:
    """A call is under way at the faster one, so it would soon be heard of again; but it will take no other for long."""
    leave_alone = False

    def busy(_: int) -> float:
        if leave_alone:
            raise Unready("busy", "m", retry_after_s=100.0)
        return 10.0

    fast, slow = Endpoint(clock, busy, name="fast"), Endpoint(clock, 25.0, name="slow")
    model = limited(Gates(clock), fast, slow, cap=4)

    async def work() -> float:
        nonlocal leave_alone
        await all_of(model, 16)
        under_way = asyncio.create_task(model.call(Generate("", "first")))
        await clock.sleep(1.0)
        leave_alone, began, asked = True, clock.now(), len(fast.starts)
        await asyncio.gather(*map(model.call, questions(2)))
        await under_way
        assert len(fast.starts) == asked + 1
        return clock.now() - began

    assert await clock.run(work()) == 25.0


async def test_the_users_cap_holds_for_all_together_and_the_models_for_each(clock: VirtualClock) -> None:
    ends = [Endpoint(clock, 0.1, name=name) for name in "ab"]
    gates, most = Gates(clock), 0

    async def watch(model: Limited) -> None:
        nonlocal most
        for _ in range(40):
            most = max(most, model.in_flight)
            await clock.sleep(0.02)

    async def both(model: Limited) -> None:
        await asyncio.gather(all_of(model, 50), watch(model))

    capped = limited(gates, *ends, cap=4, total=5)
    assert capped.limit == 5
    await clock.run(both(capped))
    assert most == 5
    assert max(end.most for end in ends) <= 4
    free = limited(gates, *ends, cap=4)
    assert free.limit == 8
    most = 0
    await clock.run(both(free))
    assert most == 8
    assert free.in_flight == 0


async def test_rates_are_counted_at_each_address(clock: VirtualClock) -> None:
    ends = [Endpoint(clock, 0.0, name=name) for name in "ab"]
    await clock.run(all_of(limited(Gates(clock), *ends, cap=50, rpm=60), 12))
    assert [len(end.starts) for end in ends] == [6, 6]
    assert clock.now() == pytest.approx(5.0)


async def test_cancelling_leaves_nothing_behind(clock: VirtualClock) -> None:
    ends = [Endpoint(clock, 0.1, up=lambda now: now < 0.15, name="a"), Endpoint(clock, 0.3, name="b")]
    model = limited(Gates(clock), *ends, cap=3)

    async def work() -> None:
        tasks = [asyncio.create_task(model.call(request)) for request in questions(30)]
        await clock.sleep(0.25)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    await clock.run(work())
    assert model.in_flight == ends[0].in_flight == ends[1].in_flight == 0


def test_answers_are_kept_under_the_first_address(clock: VirtualClock) -> None:
    def opened(where: object) -> tuple[str, Limits]:
        limits: list[Limits] = []

        def note(given: Limits) -> object:
            limits.append(given)
            return Gates(clock).open(given)

        spec = ModelSpec("m", "openai", {"base_url": where, "model": "x", "concurrency": 7})  # type: ignore[dict-item]
        model = open_model(spec, gates=note, concurrency=9, timeout_s=1, max_retries=0)  # type: ignore[arg-type]
        return model.identity, limits[0]

    one, alone = opened("http://a/v1")
    two, limits = opened(["http://a/v1/", "http://b/v1"])
    assert one == two
    assert alone.endpoints == ("http://a/v1",)
    assert limits.endpoints == ("http://a/v1", "http://b/v1")
    assert (limits.cap, limits.total) == (7, 9)
