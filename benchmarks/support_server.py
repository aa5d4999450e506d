"""The simulator for ``bench-first``: counters and CPU between two moments, and this process's own CPU."""

from __future__ import annotations

import time

from .server.child import ChildServer


class Server(ChildServer):
    """A running child.

    Parameters
    ----------
    latency_s : time of each answer in seconds. cap : requests served at once; the rest wait.
    """

    def __init__(self, *, latency_s: float, cap: int) -> None:
        super().__init__(latency_s=latency_s, cap=cap)
        self._cpu_s = 0.0

    def reset(self) -> None:
        """Zero the counters, and ``cpu_s``."""
        super().reset()
        self._cpu_s = super().stats()["cpu_s"]

    def stats(self) -> dict[str, float]:
        """The counters since the reset, and ``cpu_s`` of the child."""
        seen = super().stats()
        return {**seen, "cpu_s": seen["cpu_s"] - self._cpu_s}


def cpu_s() -> float:
    """User and system time of this process and its threads, in seconds."""
    return time.process_time()
