"""A circuit breaker: an endpoint that fails again and again is left alone for a while, then asked by one call alone.

The pattern is Nygard's ("Release It!", 2007). What is ours: who asks while the circuit is open is told so at once, and takes
that for a failed attempt, of which the retries allow some; who comes while the one call is under way waits for its fate.
So nobody hears of a dead endpoint later than by asking it, and a call outlives every silence that its retries outlive.
"""

from __future__ import annotations

import math

from ..errors import ModelError
from .capacity import Need

MOST_FAILURES = 10
"""In a row, of any calls, until the circuit opens. Of calls that fail by chance, one in five, not one in a million runs so far."""
FIRST_REST_S, LONGEST_REST_S = 0.5, 2.0
"""Seconds of silence: doubled by every call that fails alone, but short beside what retries wait for in all (15 s and more)."""


class Breaker:
    """A device's circuit: a :class:`~.capacity.Resource`.

    Attributes
    ----------
    open : whether calls are kept away, but for one now and then. failures : in a row. error : the last one.
    """

    __slots__ = ("_probe", "_rest", "_until", "error", "failures", "open")

    def __init__(self) -> None:
        self.open = False
        self.failures = 0
        self.error: ModelError | None = None
        self._until = 0.0
        self._rest = FIRST_REST_S
        self._probe: Need | None = None

    def rests(self, now: float) -> bool:
        """Whether nobody may come."""
        return self.open and self._probe is None and now < self._until

    def probing(self, need: Need) -> bool:
        """Whether this is the one call."""
        return self._probe is need

    def delay(self, _need: Need, now: float) -> float:
        """See :class:`~.capacity.Resource`."""
        if not self.open:
            return 0.0
        return math.inf if self._probe is not None else max(0.0, self._until - now)

    def take(self, need: Need, _now: float) -> None:
        """See :class:`~.capacity.Resource`."""
        if self.open:
            self._probe = need

    def give(self, need: Need, now: float) -> None:
        """See :class:`~.capacity.Resource`. One that was cancelled has said nothing: the next may ask."""
        if self._probe is need:
            self._probe, self._until = None, now

    def succeeded(self) -> None:
        """Somebody is there."""
        self.failures = 0
        self.open, self._rest, self._probe = False, FIRST_REST_S, None

    def failed(self, need: Need, error: ModelError, now: float) -> bool:
        """Nobody is there, or nobody who can answer; whether calls are kept away because of this one.

        What calls say that were under way when the circuit opened is no news.
        """
        self.failures += 1
        self.error = error
        if self.open:
            if self._probe is not need:
                return False
            self._rest = min(LONGEST_REST_S, 2 * self._rest)
        elif self.failures < MOST_FAILURES:
            return False
        self.open, self._probe, self._until = True, None, now + self._rest
        return True
