"""Caps on a query's calls and money. What a call may cost at most is reserved before it is sent, so a cap is never passed.

Used on the event loop only: no locks against threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..errors import BudgetExceeded, ProgrammingError

KEPT = (
    "Answers received so far are kept (except those of calls with cache := false): running the query again reuses them."
)


class Budget:
    """What one query may still spend.

    Parameters
    ----------
    max_calls : cap on calls; ``None``: no cap.
    max_cost_usd : cap on money in US dollars; ``None``: no cap.
    rows_done : tells how many rows have their answer, for the message.

    >>> budget = Budget(1, None)
    >>> asyncio.run(budget.reserve(None, "small"))
    >>> asyncio.run(budget.reserve(None, "small"))
    Traceback (most recent call last):
    ...
    anserdb.engine.errors.BudgetExceeded: ...
    """

    def __init__(
        self, max_calls: int | None, max_cost_usd: float | None, rows_done: Callable[[], int] = lambda: 0
    ) -> None:
        self.max_calls, self.max_cost_usd = max_calls, max_cost_usd
        self.calls = 0
        self.spent_usd = 0.0
        self._rows_done = rows_done
        self._reserved: list[float] = []
        self._turn = asyncio.Lock()
        self._settled = asyncio.Event()

    async def reserve(self, estimate_usd: float | None, model: str) -> None:
        """Take one call and the most it may cost, or wait while calls in flight may yet turn out cheaper than reserved.

        Parameters
        ----------
        estimate_usd : upper bound in US dollars; ``None``: the price is unknown.
        model : its name, for messages.

        Raises
        ------
        BudgetExceeded : it does not fit. ProgrammingError : money is capped and the price is unknown.
        """
        if self.max_cost_usd is None:
            self._take_call()
            return
        if estimate_usd is None:
            raise ProgrammingError(
                f"llm_max_cost_usd is set, but the price of model {model} is unknown. Give it in US dollars per million "
                f"tokens: CREATE OR REPLACE MODEL {model} … (price_in := …, price_out := …), or SET llm_max_cost_usd = NULL."
            )
        # First come, first served: only the head of the line looks at the money, the others wait behind it.
        async with self._turn:
            await self._room(estimate_usd, self.max_cost_usd)
            self._take_call()
            self._reserved.append(estimate_usd)

    def settle(self, estimate_usd: float | None, actual_usd: float | None) -> None:
        """Replace a reservation by what the call did cost (``None``: nobody knows, so what was reserved)."""
        if self.max_cost_usd is None or estimate_usd is None:
            self.spent_usd += actual_usd or 0.0
            return
        self._reserved.remove(estimate_usd)
        self.spent_usd += estimate_usd if actual_usd is None else actual_usd
        self._settled.set()

    async def _room(self, estimate: float, limit: float) -> None:
        while self.spent_usd + sum(self._reserved) + estimate > limit:
            if not self._reserved:
                raise self._no_money(estimate, limit)
            self._settled.clear()
            await self._settled.wait()

    def _take_call(self) -> None:
        if self.max_calls is not None and self.calls >= self.max_calls:
            raise self._no_calls(self.max_calls)
        self.calls += 1

    def _no_calls(self, limit: int) -> BudgetExceeded:
        done = self._rows_done()
        message = (
            f"The query stopped at llm_max_calls = {limit}: {self.calls} calls were made, {done} rows are answered. {KEPT} "
            "To go on, raise the cap (SET llm_max_calls = …, or NULL for none) and run it again."
        )
        return BudgetExceeded(message, "llm_max_calls", self.calls, limit, done)

    def _no_money(self, estimate: float, limit: float) -> BudgetExceeded:
        done = self._rows_done()
        message = (
            f"The query stopped at llm_max_cost_usd = {limit:g}: ${self.spent_usd:.6f} are spent, the next call may cost "
            f"${estimate:.6f}, {done} rows are answered. {KEPT} "
            "To go on, raise the cap (SET llm_max_cost_usd = …, or NULL for none) and run it again."
        )
        return BudgetExceeded(message, "llm_max_cost_usd", self.spent_usd, limit, done)
