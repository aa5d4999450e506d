"""Caps on calls, money, tokens and time."""

from __future__ import annotations

import asyncio
import random

import pytest

from anserdb.engine.dataflow.budget import NOTHING, Budget, Caps, Spending
from anserdb.engine.errors import BudgetExceeded, ProgrammingError


async def spend(budget: Budget, most: Spending, actual: Spending) -> bool:
    try:
        await budget.reserve(most, "m")
    except BudgetExceeded:
        return False
    await asyncio.sleep(0)
    budget.settle(most, actual)
    return True


def usd(amount: float | None) -> Spending:
    return Spending(amount, 0)


async def test_a_thousand_askers_never_make_more_calls_than_the_cap() -> None:
    budget = Budget(Caps(calls=37))
    made = await asyncio.gather(*(spend(budget, NOTHING, Spending()) for _ in range(1000)))
    assert sum(made) == budget.calls == 37


async def test_a_thousand_askers_never_spend_more_than_the_cap_and_use_it() -> None:
    budget, dice = Budget(Caps(cost_usd=1.0)), random.Random(1)
    costs = [dice.uniform(0.0, 0.01) for _ in range(1000)]
    made = await asyncio.gather(*(spend(budget, usd(0.01), usd(cost)) for cost in costs))
    assert 0.99 <= budget.spent_usd <= 1.0
    # The most that calls in flight might cost is reserved, but it does not end the query: they turned out cheaper.
    assert sum(made) > 150


async def test_a_thousand_askers_never_take_more_tokens_than_the_cap_and_use_it() -> None:
    budget, dice = Budget(Caps(tokens=10_000)), random.Random(2)
    sizes = [dice.randrange(1, 100) for _ in range(1000)]
    made = await asyncio.gather(*(spend(budget, Spending(0.0, 100), Spending(None, size)) for size in sizes))
    assert 9_900 <= budget.spent_tokens <= 10_000
    assert sum(made) > 150
    assert budget.exceeded is not None
    assert budget.exceeded.setting == "llm_max_tokens"


async def test_both_purses_have_to_have_room() -> None:
    budget = Budget(Caps(cost_usd=1.0, tokens=100))
    assert await spend(budget, Spending(0.1, 90), Spending(0.1, 90))
    assert not await spend(budget, Spending(0.1, 11), Spending(0.1, 11))
    assert await spend(budget, Spending(0.9, 10), Spending(0.9, 10))
    assert not await spend(budget, Spending(0.1, 0), Spending(0.1, 0))


async def test_what_a_call_took_is_what_was_reserved_when_nobody_knows() -> None:
    budget = Budget(Caps(cost_usd=1.0, tokens=100))
    await spend(budget, Spending(0.25, 40), Spending())
    assert (budget.spent_usd, budget.spent_tokens) == (0.25, 40)


async def test_money_is_counted_without_a_cap() -> None:
    budget = Budget(Caps())
    await spend(budget, NOTHING, Spending(0.5, 7))
    assert (budget.spent_usd, budget.spent_tokens) == (0.5, 7)


async def test_a_call_that_was_never_sent_leaves_its_room_to_another() -> None:
    budget = Budget(Caps(calls=1, cost_usd=1.0, tokens=10))
    most = Spending(1.0, 10)
    await budget.reserve(most, "m")
    budget.give_back(most)
    assert await spend(budget, most, most)
    assert not await spend(budget, most, most)


async def test_no_call_starts_after_the_time_is_over() -> None:
    now = [100.0]
    budget = Budget(Caps(seconds=5.0), lambda: 3, lambda: now[0])
    assert budget.seconds_left() is None  # waiting for the first row is not the models' time
    now[0] = 200.0
    assert await spend(budget, NOTHING, NOTHING)
    now[0] = 204.0
    assert budget.seconds_left() == 1.0
    assert await spend(budget, NOTHING, NOTHING)
    now[0] = 205.5
    with pytest.raises(BudgetExceeded, match=r"llm_max_seconds = 5: 5\.5 s have passed") as refused:
        await budget.reserve(NOTHING, "m")
    assert (refused.value.setting, refused.value.spent, refused.value.limit, refused.value.rows_done) == (
        "llm_max_seconds", 5.5, 5.0, 3,
    )  # fmt: skip


async def test_the_messages_say_what_was_spent_what_is_kept_and_how_to_go_on() -> None:
    budget = Budget(Caps(calls=1), lambda: 7)
    await budget.reserve(NOTHING, "m")
    with pytest.raises(BudgetExceeded) as calls:
        await budget.reserve(NOTHING, "m")
    assert (calls.value.setting, calls.value.spent, calls.value.limit, calls.value.rows_done) == (
        "llm_max_calls", 1, 1, 7,
    )  # fmt: skip
    assert all(word in str(calls.value) for word in ("1 calls", "7 rows", "are kept", "SET llm_max_calls"))
    budget = Budget(Caps(cost_usd=0.5), lambda: 7)
    await spend(budget, usd(0.4), usd(0.4))
    with pytest.raises(BudgetExceeded) as money:
        await budget.reserve(usd(0.2), "m")
    assert (money.value.setting, money.value.spent, money.value.limit) == ("llm_max_cost_usd", 0.4, 0.5)
    assert all(word in str(money.value) for word in ("$0.4", "are kept", "SET llm_max_cost_usd"))
    budget = Budget(Caps(tokens=5000))
    await spend(budget, Spending(0.0, 4000), Spending(0.0, 4000))
    with pytest.raises(BudgetExceeded, match="4,000 tokens are spent, the next call may take 1,500"):
        await budget.reserve(Spending(0.0, 1500), "m")


async def test_a_cap_on_money_needs_a_price() -> None:
    budget = Budget(Caps(cost_usd=1.0))
    with pytest.raises(ProgrammingError, match=r"price_in.*price_out") as error:
        await budget.reserve(Spending(None, 10), "gpt-x")
    assert "gpt-x" in str(error.value)
    assert budget.calls == 0


async def test_a_waiter_that_is_cancelled_lets_the_next_one_pass() -> None:
    budget = Budget(Caps(cost_usd=1.0))
    await budget.reserve(usd(0.9), "m")
    first, second = (asyncio.create_task(budget.reserve(usd(0.5), "m")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    budget.settle(usd(0.9), usd(0.1))
    await asyncio.wait_for(second, 10)
    assert first.cancelled()
    assert budget.calls == 2
