"""Time, as the dispatcher sees it: the event loop's, or one that a simulation moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call to come."""

    def cancel(self) -> object:
        """It will not come."""
        ...


class Clock(Protocol):
    """Tells the time in seconds and calls back."""

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Call back at that time."""
        ...


class LoopClock:
    """The running event loop's."""

    def __init__(self) -> None:
        self.now = time.monotonic  # what asyncio's own loops go by

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """See :class:`Clock`."""
        return asyncio.get_running_loop().call_at(when, callback)


class _Event:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class SimulatedClock:
    """Time that jumps from one event to the next. Events of one moment come in the order in which they were asked for.

    >>> clock = SimulatedClock()
    >>> timer = clock.call_at(3.0, lambda: print(clock.now()))
    >>> clock.run()
    3.0
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._events: list[tuple[float, int, _Event]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """See :class:`Clock`."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """See :class:`Clock`."""
        event = _Event(callback)
        heapq.heappush(self._events, (when, next(self._numbers), event))
        return event

    def run(self) -> None:
        """Let all events come."""
        while self._events:
            when, _, event = heapq.heappop(self._events)
            if event.callback is not None:
                self._now = max(self._now, when)
                event.callback()
