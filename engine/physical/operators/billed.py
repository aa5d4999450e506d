"""What the answers to one row came to, heard where they are read: whoever asks for the row need not know how many there are."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from ....udfs.models.base import ModelSpec, Reply, Request, Usage
from ....udfs.models.prices import cost_usd
from ....udfs.spec import Ask

T = TypeVar("T")
MOST_PRICES = 10_000


class Bill:
    """Of one row and one arm.

    Attributes
    ----------
    usd : of all replies, found ones as when they were paid for; ``None``: of some it is not known. seconds : of those that were
        waited for, attempts in vain included. replies : how many.
    """

    __slots__ = ("replies", "seconds", "usd")

    def __init__(self) -> None:
        self.usd: float | None = 0.0
        self.seconds = 0.0
        self.replies = 0

    def add(self, usd: float | None, seconds: float) -> None:
        """One more reply."""
        self.usd = None if usd is None or self.usd is None else self.usd + usd
        self.seconds += seconds
        self.replies += 1


BILL: ContextVar[Bill | None] = ContextVar("anser_bill", default=None)
"""Comes on the context of a row, for between those who choose its arm and those who ask may stand others."""


class BilledAsk:
    """The ``Ask`` of a stage, which puts replies on the bill of the row that reads them.

    Parameters
    ----------
    ask : the stage's. spec : whose prices hold.
    """

    def __init__(self, ask: Ask, spec: ModelSpec) -> None:
        self._ask, self._spec = ask, spec
        self._prices: dict[Usage, float | None] = {}

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """See :class:`Ask`."""
        if (bill := BILL.get()) is None:
            return await self._ask(request, parse)

        def read(reply: Reply) -> T:
            bill.add(self._usd(reply.usage), reply.seconds * (1 + reply.retries))
            return parse(reply)

        return await self._ask(request, read)

    def _usd(self, usage: Usage) -> float | None:
        if usage not in self._prices:
            if len(self._prices) >= MOST_PRICES:
                self._prices.clear()
            self._prices[usage] = cost_usd(self._spec, usage).usd
        return self._prices[usage]
