"""Simulated time for asyncio code that takes its clock as ``now`` and ``sleep``."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualClock:
    """Time that passes only when nobody can do anything else."""

    def __init__(self) -> None:
        self._time = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0

    def now(self) -> float:
        """Seconds since the start."""
        return self._time

    async def sleep(self, seconds: float) -> None:
        """Sleep until the clock has been moved that far."""
        self._number += 1
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._time + seconds, self._number, wake))
        await wake

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.Future[None]:
        """Call back once the clock has been moved that far; what is returned can be cancelled."""
        self._number += 1
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, self._number, wake))
        wake.add_done_callback(lambda wake: None if wake.cancelled() else callback())
        return wake

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine to its end, moving the clock to the next sleeper whenever all are asleep."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.settle()
            if not task.done() and not self.tick():
                raise AssertionError("everybody waits, and nobody sleeps")
        return task.result()

    def tick(self) -> bool:
        """Move to the next sleeper's time and wake it; False when there is none."""
        while self._sleepers:
            moment, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                self._time = max(self._time, moment)
                wake.set_result(None)
                return True
        return False

    async def settle(self) -> None:
        """Let every task run as far as it can without time passing."""
        for _ in range(20):
            await asyncio.sleep(0)
