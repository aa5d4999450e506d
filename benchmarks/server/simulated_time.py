"""SIMULATED time for asyncio code: the loop's clock jumps to the next timer whenever all are asleep.

What waits 16,000 s on a real server is done in seconds here. It is for code that waits for timers only: sockets and threads
take real time, of which this clock knows nothing.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose ``time()`` is simulated."""

    def __init__(self) -> None:
        self._simulated_s = 0.0
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        """Simulated seconds since the loop was made."""
        return self._simulated_s

    def _jump(self, seconds: float) -> None:
        self._simulated_s += seconds


class _Jumping(selectors.DefaultSelector):
    """Where the loop would sleep until its next timer, it is that time already."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(None if timeout is None else 0)
        if not ready and timeout:
            self._jump(timeout)
        return ready


class SimulatedLoopClock:
    """The running simulated loop as a ``Clock`` of ``engine/dataflow/clock.py``, for a dispatcher or gates."""

    def now(self) -> float:
        """Simulated seconds."""
        return asyncio.get_running_loop().time()

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        """Call back at that time."""
        return asyncio.get_running_loop().call_at(when, callback)


def run_simulated(work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """The result of a coroutine, and the simulated seconds that it took.

    >>> run_simulated(asyncio.sleep(16_000, "done"))
    ('done', 16000.0)
    """
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        result = runner.run(work)
        return result, runner.get_loop().time()
