"""Caps on calls and money."""

from __future__ import annotations

import asyncio
import random

import pytest

from anserdb.engine.dataflow.budget import Budget
from anserdb.engine.errors import BudgetExceeded, ProgrammingError


async def spend(budget: Budget, estimate: float | None, actual: float | None) -> bool:
    try:
        await budget.reserve(estimate, "m")
    except BudgetExceeded:
        return False
    await asyncio.sleep(0)
    budget.settle(estimate, actual)
    return True


async def test_a_thousand_askers_never_make_more_calls_than_the_cap() -> None:
    budget = Budget(37, None)
    made = await asyncio.gather(*(spend(budget, None, None) for _ in range(1000)))
    assert sum(made) == budget.calls == 37


async def test_a_thousand_askers_never_spend_more_than_the_cap_and_use_it() -> None:
    budget, dice = Budget(None, 1.0), random.Random(1)
    costs = [dice.uniform(0.0, 0.01) for _ in range(1000)]
    made = await asyncio.gather(*(spend(budget, 0.01, cost) for cost in costs))
    assert 0.99 <= budget.spent_usd <= 1.0
    # The most that calls in flight might cost is reserved, but it does not end the query: they turned out cheaper.
    assert sum(made) > 150


async def test_what_a_call_cost_is_what_was_reserved_when_nobody_knows() -> None:
    budget = Budget(None, 1.0)
    await spend(budget, 0.25, None)
    assert budget.spent_usd == 0.25


async def test_money_is_counted_without_a_cap() -> None:
    budget = Budget(None, None)
    await spend(budget, None, 0.5)
    assert budget.spent_usd == 0.5


async def test_the_messages_say_what_was_spent_what_is_kept_and_how_to_go_on() -> None:
    budget = Budget(1, None, lambda: 7)
    await budget.reserve(None, "m")
    with pytest.raises(BudgetExceeded) as calls:
        await budget.reserve(None, "m")
    assert (calls.value.setting, calls.value.spent, calls.value.limit, calls.value.rows_done) == (
        "llm_max_calls",
        1,
        1,
        7,
    )
    assert all(word in str(calls.value) for word in ("1 calls", "7 rows", "are kept", "SET llm_max_calls"))
    budget = Budget(None, 0.5, lambda: 7)
    await spend(budget, 0.4, 0.4)
    with pytest.raises(BudgetExceeded) as money:
        await budget.reserve(0.2, "m")
    assert (money.value.setting, money.value.spent, money.value.limit) == ("llm_max_cost_usd", 0.4, 0.5)
    assert all(word in str(money.value) for word in ("$0.4", "are kept", "SET llm_max_cost_usd"))


async def test_a_cap_on_money_needs_a_price() -> None:
    budget = Budget(None, 1.0)
    with pytest.raises(ProgrammingError, match=r"price_in.*price_out") as error:
        await budget.reserve(None, "gpt-x")
    assert "gpt-x" in str(error.value)
    assert budget.calls == 0


async def test_a_waiter_that_is_cancelled_lets_the_next_one_pass() -> None:
    budget = Budget(None, 1.0)
    await budget.reserve(0.9, "m")
    first, second = (asyncio.create_task(budget.reserve(0.5, "m")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    budget.settle(0.9, 0.1)
    await asyncio.wait_for(second, 10)
    assert first.cancelled()
    assert budget.calls == 2
