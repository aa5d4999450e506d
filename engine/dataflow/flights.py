"""Questions under way, process-wide: equal ones are asked once, and a question lives as long as somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flight(Generic[T]):
    """One question being answered, in a task of its own, so that no single waiter's end is the question's.

    Parameters
    ----------
    place : equal questions have equal places. owner : who started it (a query's run).
    """

    def __init__(self, place: Hashable, owner: object, work: Coroutine[Any, Any, T]) -> None:
        self.owner = owner
        self._place = place
        self._waiters = 0
        self._landings: list[asyncio.Future[None]] = []
        self._dying = False
        self._task = asyncio.create_task(work)
        _flights[place] = self
        self._task.add_done_callback(self._landed)

    async def join(self) -> T:
        """Wait for the answer. When the last waiter is cancelled, the question is, and its end is awaited."""
        self._waiters += 1
        try:
            if not self._task.done():
                # Like asyncio.shield, with half its callbacks: the calls of a query all pass here.
                landing = asyncio.get_running_loop().create_future()
                self._landings.append(landing)
                await landing
            return self._task.result()
        finally:
            self._waiters -= 1
            if not self._waiters and not self._task.done():
                self._dying = True
                self._task.cancel()
                await asyncio.wait({self._task})

    def _landed(self, task: asyncio.Task[T]) -> None:
        if _flights.get(self._place) is self:
            del _flights[self._place]
        if not task.cancelled():
            task.exception()  # mark as seen: the waiters may all be gone
        for landing in self._landings:
            if not landing.done():
                landing.set_result(None)

    def _is_here(self) -> bool:
        return self._task.get_loop() is asyncio.get_running_loop()


async def find(place: Hashable) -> Flight[Any] | None:
    """The question under way at ``place`` that may be joined. One that is being cancelled is waited out: it may be
    saving its answer. One of another loop (that died, or was forked) counts for nothing."""
    while (flight := _flights.get(place)) is not None and flight._is_here():
        if not flight._dying:
            return flight
        await asyncio.wait({flight._task})
        if _flights.get(place) is flight:  # its done callback has yet to run
            del _flights[place]
    return None


_flights: dict[Hashable, Flight[Any]] = {}
