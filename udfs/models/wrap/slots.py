"""A fair, cancellation-safe counter of calls in flight whose limit adapts. One event loop; no locks."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress


class Slots:
    """Slots handed out first come, first served.

    Parameters
    ----------
    cap : the limit starts here and never exceeds it.
    """

    def __init__(self, cap: int) -> None:
        self._cap = max(1, cap)
        self._limit = self._cap
        self._in_flight = 0
        self._successes = 0
        self._epoch = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """How many are."""
        return self._in_flight

    async def acquire(self) -> int:
        """Wait for a slot; returns the epoch in which it was given, for :meth:`refused`."""
        if self._waiting or self._in_flight >= self._limit:
            await self._queue()
        else:
            self._in_flight += 1
        return self._epoch

    async def _queue(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # A slot may have been given in the same turn of the loop as the cancellation: pass it on, or it is lost.
            if turn.done() and not turn.cancelled():
                self.release()
            with suppress(ValueError):
                self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Give a slot back."""
        self._in_flight -= 1
        self._wake()

    def succeeded(self) -> None:
        """Count a success; a whole window of them raises the limit by one."""
        if self._limit == self._cap:
            return
        self._successes += 1
        if self._successes >= self._limit:
            self._successes = 0
            self._limit += 1
            self._wake()

    def refused(self, epoch: int) -> None:
        """Halve the limit, once per window: calls sent before the last halving say nothing new."""
        if epoch == self._epoch:
            self._epoch += 1
            self._successes = 0
            self._limit = max(1, self._limit // 2)

    def _wake(self) -> None:
        while self._waiting and self._in_flight < self._limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)
