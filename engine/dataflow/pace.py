"""How fast an endpoint answers lately, for choosing between several.

``calibration`` knows what 200 calls teach of a device; a choice between devices needs what the last few say, and must not
write off for good the one that was slow once. So this forgets fast, and believes old news less and less: a place that nobody asks
becomes tempting again (the decay is that of Finagle's load balancer "peak EWMA").
"""

from __future__ import annotations

import math
from collections import deque

WEIGHT = 0.1
"""Of the newest call; more, if the one before it is long ago."""
MEMORY_S = 10.0
"""Seconds after which what an idle place was like counts e times less."""
KEPT = 256
"""Calls out of which a percentile is read."""
LEAST = 20
"""Calls without which there is none."""
OFTEN = 32
"""Calls after which it is read again."""


class Pace:
    """Seconds of calls at one place.

    >>> pace = Pace()
    >>> pace.observe(2.0, now=0.0)
    >>> round(pace.seconds(now=10.0), 2), pace.seconds(now=10.0, busy=True)
    (0.74, 2.0)
    """

    __slots__ = ("_calls", "_heard", "_recent", "_since", "_slow", "_unread")

    def __init__(self) -> None:
        self._recent = 0.0
        self._heard = self._since = -math.inf
        self._calls: deque[float] = deque(maxlen=KEPT)
        self._unread = 0
        self._slow: float | None = None

    def observe(self, seconds: float, now: float) -> None:
        """A call has ended."""
        news = max(WEIGHT, 1 - self._worth(now))
        self._recent += news * (seconds - self._recent)
        self._heard = self._since = now
        self._calls.append(seconds)
        self._unread += 1

    def at_least(self, seconds: float, now: float) -> None:
        """A call was given up after that long: news only if it is bad."""
        if seconds > self._recent:
            self.observe(seconds, now)

    def seconds(self, now: float, *, busy: bool = False) -> float:
        """What to expect of a call; 0: nothing is known. ``busy`` : calls are under way, so what was heard last holds."""
        return self._recent if busy else self._recent * self._worth(now)

    def begin(self, now: float) -> None:
        """The first of the calls that are under way begins."""
        self._since = now

    def _worth(self, now: float) -> float:
        """How much of what was known is true still."""
        return math.exp((self._heard - now) / MEMORY_S)

    def due(self, now: float) -> float:
        """Seconds in which a place with calls under way has to be heard of again; 0 or less: it should have been."""
        return self._since + 2 * self._recent - now

    def slow(self) -> float | None:
        """Seconds that 95 of 100 calls do not take; ``None``: too few have ended."""
        if len(self._calls) >= LEAST and (self._slow is None or self._unread >= OFTEN):
            self._slow, self._unread = sorted(self._calls)[int(0.95 * len(self._calls))], 0
        return self._slow
