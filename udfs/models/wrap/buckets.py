"""Token buckets for requests and tokens per minute."""

from __future__ import annotations

from collections.abc import Callable


class Bucket:
    """At most ``per_minute`` units in any 60 seconds, of which one second's worth may come at once.

    A taker is told how long to wait and its units are gone at once, so takers are served in the order they asked. An
    amount above the burst goes through alone and leaves a debt.

    >>> bucket = Bucket(60, now=lambda: 0.0)
    >>> [bucket.take(1), bucket.take(1), bucket.take(1)]
    [0.0, 1.0, 2.0]
    """

    def __init__(self, per_minute: float, now: Callable[[], float]) -> None:
        self._burst = max(1.0, per_minute / 60)
        # A full burst at the window's start plus what refills within it must not exceed per_minute.
        self._rate = (per_minute - self._burst + 1) / 60 if per_minute > 1 else per_minute / 60
        self._level = self._burst
        self._now = now
        self._last = now()

    def take(self, amount: float) -> float:
        """Take ``amount`` and return the seconds to wait before using it."""
        self._refill()
        wait = max(0.0, (min(amount, self._burst) - self._level) / self._rate)
        self._level -= amount
        return wait

    def settle(self, taken: float, used: float) -> None:
        """Give back what was taken and not used (or charge what was used beyond it)."""
        self._level = min(self._burst, self._level + taken - used)

    def _refill(self) -> None:
        now = self._now()
        self._level = min(self._burst, self._level + (now - self._last) * self._rate)
        self._last = now
