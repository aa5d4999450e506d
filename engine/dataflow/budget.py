"""Caps on what a query may spend: calls, money, tokens, time.

What a call may take at most is reserved before it is sent, so caps on calls, money and tokens are never passed. Time passes
by itself: at its cap no call is sent any more, and those under way are cancelled.

Used on the event loop only: no locks against threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import BudgetExceeded, ProgrammingError
from ..settings import Settings

KEPT = (
    "Answers received so far are kept (except those of calls with cache := false): running the query again reuses them."
)


@dataclass(frozen=True, slots=True)
class Caps:
    """What a query may spend; ``None``: no cap. Named as the settings are, without their ``llm_max_``."""

    calls: int | None = None
    cost_usd: float | None = None
    tokens: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Spending:
    """What a call takes, or may take at most. ``usd`` is US dollars, ``tokens`` both in and out; ``None``: nobody knows."""

    usd: float | None = None
    tokens: int | None = None


NOTHING = Spending(0.0, 0)


def amount(setting: str, spent: float) -> str:
    """What is counted by a cap, with its unit.

    >>> amount("llm_max_cost_usd", 0.25), amount("llm_max_tokens", 1200)
    ('$0.250000', '1,200 tokens')
    """
    match setting:
        case "llm_max_cost_usd":
            return f"${spent:.6f}"
        case "llm_max_seconds":
            return f"{spent:.1f} s"
        case _:
            return f"{spent:,.0f} {setting.removeprefix('llm_max_')}"


def budget_caps(settings: Settings) -> Caps:
    """The caps that a connection's settings ask for."""
    return Caps(settings.llm_max_calls, settings.llm_max_cost_usd, settings.llm_max_tokens, settings.llm_max_seconds)


class _Purse:
    """One of the things that are spent. ``reserved`` is for ``pending`` calls under way."""

    __slots__ = ("limit", "pending", "reserved", "spent")

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.spent = self.reserved = 0.0
        self.pending = 0

    def fits(self, amount: float) -> bool:
        return self.limit is None or self.spent + self.reserved + amount <= self.limit

    def reserve(self, amount: float) -> None:
        self.reserved += amount
        self.pending += 1

    def settle(self, reserved: float, actual: float | None) -> None:
        self.pending -= 1
        self.reserved = self.reserved - reserved if self.pending else 0.0  # sums of floats drift
        self.spent += reserved if actual is None else actual


class Budget:
    """What one query may still spend.

    Parameters
    ----------
    caps : the limits. rows_done : tells how many rows have their answer, for the message. now : a clock in seconds.

    Attributes
    ----------
    exceeded : the first refusal, once there was one. hint : what is said at the end of every refusal.

    >>> budget = Budget(Caps(calls=1))
    >>> asyncio.run(budget.reserve(NOTHING, "small"))
    >>> asyncio.run(budget.reserve(NOTHING, "small"))
    Traceback (most recent call last):
    ...
    anserdb.engine.errors.BudgetExceeded: ...
    """

    def __init__(
        self, caps: Caps, rows_done: Callable[[], int] = lambda: 0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.caps = caps
        self._capped = caps != Caps()
        self.calls = 0
        self.exceeded: BudgetExceeded | None = None
        self.hint = ""
        self._money, self._tokens = _Purse(caps.cost_usd), _Purse(caps.tokens)
        self._rows_done, self._now = rows_done, now
        self._started: float | None = None
        self._turn = asyncio.Lock()
        self._settled = asyncio.Event()

    @property
    def capped(self) -> bool:
        """Whether there is any cap."""
        return self._capped

    @property
    def spent_usd(self) -> float:
        """US dollars spent, as far as anybody knows."""
        return self._money.spent

    @property
    def spent_tokens(self) -> int:
        """Tokens spent, in and out."""
        return int(self._tokens.spent)

    @property
    def weighs(self) -> bool:
        """Whether it matters what a call may take: money or tokens are capped."""
        return self.caps.cost_usd is not None or self.caps.tokens is not None

    def take(self) -> None:
        """One call that nobody weighs: like :meth:`reserve` and, at its end, :meth:`settle`, at once.

        Raises
        ------
        BudgetExceeded : there is no time left, or no call.
        """
        if self._capped:
            if self._started is None:
                self._started = self._now()
            self._check()
        self.calls += 1

    async def reserve(self, most: Spending, model: str) -> None:
        """Take one call and the most it may need, or wait while calls in flight may yet turn out cheaper than reserved.

        Parameters
        ----------
        most : upper bounds; ``usd`` is ``None`` where the price is unknown.
        model : its name, for messages.

        Raises
        ------
        BudgetExceeded : it does not fit. ProgrammingError : money is capped and the price is unknown.
        """
        if self._started is None:
            self._started = self._now()
        if not self.weighs:
            self._take(most)
            return
        if self.caps.cost_usd is not None and most.usd is None:
            raise ProgrammingError(
                f"llm_max_cost_usd is set, but the price of model {model} is unknown. Give it in US dollars per million "
                f"tokens: CREATE OR REPLACE MODEL {model} … (price_in := …, price_out := …), or SET llm_max_cost_usd = NULL."
            )
        # First come, first served: only the head of the line looks at the purses, the others wait behind it.
        async with self._turn:
            await self._room(most)
            self._take(most)

    def settle(self, most: Spending, actual: Spending) -> None:
        """Replace a reservation by what the call did take (``None``: nobody knows, so what was reserved)."""
        self._money.settle(most.usd or 0.0, actual.usd)
        self._tokens.settle(most.tokens or 0, actual.tokens)
        self._settled.set()

    def give_back(self, most: Spending) -> None:
        """The call was never sent."""
        self.calls -= 1
        if self.weighs:
            self.settle(most, NOTHING)

    def seconds_left(self) -> float | None:
        """Until the calls under way have to end; ``None``: as long as they take."""
        if self.caps.seconds is None or self._started is None:
            return None
        return self.caps.seconds - (self._now() - self._started)

    def no_time(self) -> BudgetExceeded:
        """The refusal once :meth:`seconds_left` is over."""
        spent = 0.0 if self._started is None else self._now() - self._started
        said = f"{spent:.1f} s have passed since the first call, calls under way were cancelled"
        return self._refuse("llm_max_seconds", spent, self.caps.seconds or 0.0, said)

    async def _room(self, most: Spending) -> None:
        while not (self._money.fits(most.usd or 0.0) and self._tokens.fits(most.tokens or 0)):
            if not self._money.pending:
                raise self._no_room(most)
            self._settled.clear()
            await self._settled.wait()

    def _take(self, most: Spending) -> None:
        self._check()
        self.calls += 1
        self._money.reserve(most.usd or 0.0)
        self._tokens.reserve(most.tokens or 0)

    def _check(self) -> None:
        if (left := self.seconds_left()) is not None and left <= 0:
            raise self.no_time()
        if self.caps.calls is not None and self.calls >= self.caps.calls:
            raise self._refuse("llm_max_calls", self.calls, self.caps.calls, f"{self.calls:,} calls were made")

    def _no_room(self, most: Spending) -> BudgetExceeded:
        limit, tokens = self.caps.cost_usd, self.spent_tokens
        if limit is not None and not self._money.fits(most.usd or 0.0):
            said = f"${self.spent_usd:.6f} are spent, the next call may cost ${most.usd or 0.0:.6f}"
            return self._refuse("llm_max_cost_usd", self.spent_usd, limit, said)
        said = f"{tokens:,} tokens are spent, the next call may take {most.tokens or 0:,}"
        return self._refuse("llm_max_tokens", tokens, self.caps.tokens or 0, said)

    def _refuse(self, setting: str, spent: float, limit: float, said: str) -> BudgetExceeded:
        done = self._rows_done()
        message = (
            f"The query stopped at {setting} = {limit:.12g}: {said}, {done:,} rows are answered. {KEPT} "
            f"To go on, raise the cap (SET {setting} = …, or NULL for none) and run it again."
        )
        refusal = BudgetExceeded(message + self.hint, setting, spent, limit, done)
        self.exceeded = self.exceeded or refusal
        return refusal
