"""The simulator's parts that need no server: prefix cache, limits, prices and bill, the luck of faults, simulated time."""

from __future__ import annotations

import asyncio
import doctest
import importlib
from collections import OrderedDict
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.dataflow.clock import Clock
from anserdb.engine.errors import InvalidAnswer, ModelUnavailable, RateLimited
from anserdb.udfs.models.base import ChoiceAnswer, Embed, Generate
from anserdb.udfs.models.hearing import hearing
from benchmarks.server import (
    Bill,
    Fault,
    FaultRates,
    InProcessModel,
    Profile,
    SimulatedLoopClock,
    Tokens,
    run_simulated,
)
from benchmarks.server.limits import RateLimits, Window
from benchmarks.server.prefix_cache import PrefixCache

FOLDER = Path(__file__).parents[2] / "benchmarks" / "server"
EXAMPLES = sorted(file.stem for file in FOLDER.glob("*.py") if ">>> " in file.read_text(encoding="utf-8"))
TOKENS = st.lists(st.sampled_from("ab"), max_size=70)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"benchmarks.server.{name}"))
    assert (result.attempted > 0, result.failed) == (True, 0)


# --- the prefix cache ---------------------------------------------------------------------------------------------------


def shared(prompt: list[str], before: list[list[str]]) -> int:
    """What a cache that never forgets has of a prompt, said otherwise: its longest whole blocks at the head of an earlier one."""
    blocks = [n for n in range(0, len(prompt), 16) if any(prompt[:n] == other[:n] for other in before)]
    return max(blocks, default=0)


@given(st.lists(TOKENS, max_size=12))
@settings(max_examples=60)
def test_a_large_cache_has_every_whole_block_that_came_before(prompts: list[list[str]]) -> None:
    cache = PrefixCache(10_000)
    seen: list[list[str]] = []
    for prompt in prompts:
        assert cache.read(prompt) == shared(prompt, seen)
        # An earlier prompt is there in whole blocks only.
        seen.append(prompt[: len(prompt) // 16 * 16])


def test_a_full_cache_forgets_the_least_recently_used_leaf_first() -> None:
    head = [f"h{i}" for i in range(16)]
    first, second, third = ([*head, *(f"{name}{i}" for i in range(16)), "end"] for name in "abc")
    cache = PrefixCache(3 * 16)  # the head and two of the tails
    assert [cache.read(first), cache.read(second), cache.read(first)] == [0, 16, 32]
    assert cache.read(third) == 16
    assert len(cache) == 48
    assert [cache.read(first), cache.read(second)] == [32, 16]


@given(st.lists(TOKENS, max_size=30), st.integers(0, 6))
@settings(max_examples=60)
def test_a_cache_never_holds_more_than_it_may_nor_a_block_without_its_parent(
    prompts: list[list[str]], most: int
) -> None:
    cache = PrefixCache(most * 16)
    for prompt in prompts:
        cache.read(prompt)
        assert len(cache) <= most * 16
        edges: OrderedDict[Any, int] = cache._edges
        assert {parent for parent, _ in edges} - {0} <= set(edges.values())


# --- limits -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 40)), max_size=40), st.integers(1, 100))
@settings(max_examples=60)
def test_no_window_holds_more_than_the_limit(arrivals: list[tuple[float, int]], most: int) -> None:
    window, now, let_in = Window(most, 60), 0.0, []
    for gap, amount in arrivals:
        now += gap
        if not (wait := window.take(min(amount, most), now)):
            let_in.append((now, min(amount, most)))
            assert sum(taken for at, taken in let_in if at > now - 60) <= most
        else:
            assert not deepcopy(window).wait_s(min(amount, most), now + wait + 1e-9)
            assert 0 < wait <= 60 + 1e-9


def test_what_one_limit_refuses_does_not_count_for_the_other() -> None:
    limits = RateLimits(rpm=3, tpm=100, window_s=60)
    assert limits.admit(90, 0.0) == 0
    assert limits.admit(20, 1.0) == 59
    assert limits.admit(10, 2.0) == 0
    assert limits.admit(0, 3.0) == 0
    assert limits.admit(0, 4.0) == 56
    limits.wrote(40, 59.0)
    assert limits.admit(90, 61.0) == pytest.approx(58.0)  # the answer that was written at 59 counts until 119


# --- money --------------------------------------------------------------------------------------------------------------


def test_the_bill_is_exact_to_the_last_digit() -> None:
    profiles = (Profile("small", price_in=0.1, price_out=0.4, price_cached=0.025), Profile("large", price_in=2.5))
    bill = Bill(profiles)
    for _ in range(3):
        bill.open("small").close("answered", Tokens(1001, 16, 7))
    bill.open("large").close("answered", Tokens(3, 0, 50))
    bill.open("large").close("refused")
    bill.open("large").close("cancelled", Tokens(1_000_000, 0, 9))
    small = 3 * (985 * Decimal("0.1") + 16 * Decimal("0.025") + 7 * Decimal("0.4")) / 1_000_000
    assert bill.usd == small + Decimal("0.0000075")
    line = bill.total
    assert (line.requests, line.answered, line.refused, line.failed, line.cancelled) == (6, 4, 1, 0, 1)
    assert (line.tokens_in, line.tokens_cached, line.tokens_out) == (3006, 48, 71)
    assert (line.lost_tokens_in, line.lost_tokens_out) == (1_000_000, 9)
    assert bill.as_json()["models"]["large"]["usd"] == 0.0000075


def test_what_became_of_a_request_first_holds() -> None:
    bill = Bill((Profile("m"),))
    entry = bill.open("m")
    entry.close("answered", Tokens(5, 0, 5))
    entry.close("cancelled", Tokens(5, 0, 5))
    assert (bill.total.answered, bill.total.cancelled, bill.total.lost_tokens_in) == (1, 0, 0)


# --- faults -------------------------------------------------------------------------------------------------------------


def test_luck_depends_on_the_question_and_how_often_it_came_not_on_the_order() -> None:
    bodies = [{"messages": [{"role": "user", "content": f"row {i % 50}"}]} for i in range(400)]
    luck: list[list[tuple[str, str]]] = []
    for order in (bodies, Random(3).sample(bodies, len(bodies))):
        rates = FaultRates({429: 0.1, "drop": 0.2}, seed=7)
        luck.append(sorted((body["messages"][0]["content"], str(rates(0, body))) for body in order))
    assert luck[0] == luck[1]
    met = [what for _, what in luck[0] if what != "None"]
    assert 70 < len(met) < 170
    assert len(set(met)) == 2
    other = FaultRates({429: 0.1, "drop": 0.2}, seed=8)
    assert sorted((body["messages"][0]["content"], str(other(0, body))) for body in bodies) != luck[0]


def test_faults_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="no such fault: flood"):
        FaultRates({"flood": 0.1})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"add up to 1\.2"):
        FaultRates({429: 0.6, 500: 0.6})


# --- simulated time -----------------------------------------------------------------------------------------------------


def test_simulated_time_is_that_of_the_profile_to_the_second() -> None:
    profile = Profile(ttft_s=2, prefill_tokens_per_s=10, tokens_per_s=5, cap=2, cache_tokens=160, price_in=1.0)
    model = InProcessModel(profile, answer=lambda body: "ten words are said here and then there are no", fault=None)
    prompt = " ".join(str(i) for i in range(40))

    async def work() -> list[float]:
        replies = await asyncio.gather(*[model.call(Generate("", prompt)) for _ in range(4)])
        return [reply.seconds for reply in replies]

    seconds, total = run_simulated(work())
    # Two at once: 2 s, then 40 tokens at 10/s, or 8 where 32 are cached, then 10 words at 5/s.
    assert seconds == pytest.approx([8.0, 4.8, 4.8 + 4.8, 8.0 + 4.8])
    assert total == pytest.approx(12.8)
    assert model.bill.total.tokens_cached == 3 * 32
    assert model.bill.usd == Decimal("0.00016")


def test_a_listener_hears_the_tokens_when_they_are_written() -> None:
    heard: list[tuple[float, str]] = []

    class Ear:
        def begin(self) -> None:
            heard.append((clock.now(), "begin"))

        def text(self, delta: str) -> None:
            heard.append((clock.now(), delta))

    clock: Clock = SimulatedLoopClock()
    model = InProcessModel(Profile(ttft_s=3, tokens_per_s=2), answer=lambda body: "a b c")

    async def work() -> str:
        with hearing(Ear()):
            return (await model.call(Generate("", "x"))).text

    text, _ = run_simulated(work())
    assert text == "a b c"
    assert heard == [(3.0, "begin"), (3.0, "a "), (3.5, "b "), (4.0, "c")]


def test_a_simulated_clock_calls_back_and_can_be_called_off() -> None:
    async def work() -> list[float]:
        clock, called = SimulatedLoopClock(), []
        clock.call_at(5.0, lambda: called.append(clock.now()))
        clock.call_at(6.0, lambda: called.append(clock.now())).cancel()
        await asyncio.sleep(10)
        return called

    assert run_simulated(work()) == ([5.0], 10.0)


@pytest.mark.parametrize(
    ("what", "error"),
    [
        (429, RateLimited),
        (500, ModelUnavailable),
        ("drop", ModelUnavailable),
        ("slow_loris", ModelUnavailable),
        ("truncated_sse", ModelUnavailable),
        ("wrong_schema", InvalidAnswer),
        ("empty_choices", InvalidAnswer),
    ],
)
def test_faults_in_process_are_the_errors_that_they_are_over_http(what: Any, error: type[Exception]) -> None:
    model = InProcessModel(Profile(), fault=lambda number, body: Fault(what, {"Retry-After": "3"}))

    async def work() -> None:
        with pytest.raises(error) as caught:
            await model.call(Generate("", "x", ChoiceAnswer(("yes", "no"))))
        assert getattr(caught.value, "retry_after_s", 3) == 3

    run_simulated(work())
    assert model.stats.faults == 1
    assert model.bill.total.answered == (error is InvalidAnswer)


def test_embeddings_in_process() -> None:
    model = InProcessModel(Profile(dimension=4, latency_s=1))
    reply, seconds = run_simulated(model.call(Embed("some words")))
    assert reply.vector is not None
    assert (len(reply.vector), seconds, reply.usage.tokens_in) == (4, 1.0, 2)
