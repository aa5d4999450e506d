"""What a device has only so much of. Each kind says how long a job would have to wait for it, and is taken and given back.

Used on one thread: no locks.
"""

from __future__ import annotations

import math
from typing import Protocol

ENOUGH = 1e-9
"""A unit is there when only so little of it is missing: a timer for the rest might not move the clock."""


class Need(Protocol):
    """What a job takes.

    Attributes
    ----------
    tokens : reserved of a rate; ``used`` : what it came to. memory : bytes. epoch : see :class:`Slots`.
    """

    tokens: int
    used: int
    memory: int
    epoch: int


class Resource(Protocol):
    """Something that jobs compete for."""

    def delay(self, need: Need, now: float, /) -> float:
        """Seconds until it could be had; 0: now; infinite: when somebody gives it back."""
        ...

    def take(self, need: Need, now: float, /) -> None:
        """Have it; only after :meth:`delay` said 0 in this moment."""
        ...

    def give(self, need: Need, now: float, /) -> None:
        """The job is over."""
        ...


class Slots:
    """Jobs at once, under a limit that adapts, and none at all while the device wants silence (its Retry-After).

    The limit follows TCP's additive increase, multiplicative decrease (Chiu and Jain, 1989): a refused window of jobs
    halves it, a successful window adds one, never above the cap.

    >>> slots = Slots(8)
    >>> slots.refused(0), slots.refused(0), slots.limit
    (None, None, 4)
    """

    __slots__ = ("_successes", "cap", "epoch", "in_flight", "limit", "quiet_until")

    def __init__(self, cap: int) -> None:
        self.cap = self.limit = max(1, cap)
        self.in_flight = 0
        self._successes = self.epoch = 0
        self.quiet_until = -math.inf

    def resize(self, cap: int) -> None:
        """Another cap; a limit that refusals have lowered stays."""
        self.limit = cap if self.limit == self.cap else min(self.limit, cap)
        self.cap = cap

    def delay(self, _need: Need, now: float) -> float:
        """See :class:`Resource`."""
        if self.in_flight >= self.limit:
            return math.inf
        return 0.0 if self.quiet_until <= now else self.quiet_until - now

    def take(self, need: Need, _now: float) -> None:
        """See :class:`Resource`."""
        self.in_flight += 1
        need.epoch = self.epoch

    def give(self, _need: Need, _now: float) -> None:
        """See :class:`Resource`."""
        self.in_flight -= 1

    def pause(self, until: float) -> None:
        """Start nothing until then; of several pauses, the longest holds."""
        self.quiet_until = max(self.quiet_until, until)

    def succeeded(self) -> None:
        """Count a success; a whole window of them raises the limit by one."""
        if self.limit == self.cap:
            return
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self.limit += 1

    def refused(self, epoch: int) -> None:
        """Halve the limit, once per window: jobs begun before the last halving say nothing new."""
        if epoch == self.epoch:
            self.epoch += 1
            self._successes = 0
            self.limit = max(1, self.limit // 2)


class Share:
    """One opener's part of a device's slots, under a cap of its own, which nothing adapts."""

    __slots__ = ("__weakref__", "_slots", "cap", "in_flight")

    def __init__(self, slots: Slots, cap: int) -> None:
        self._slots = slots
        self.cap = max(1, cap)
        self.in_flight = 0

    # These are on the road of every call, so they look into the slots instead of asking them.

    def delay(self, _need: Need, now: float) -> float:
        """See :class:`Resource`."""
        slots = self._slots
        if self.in_flight >= self.cap or slots.in_flight >= slots.limit:
            return math.inf
        return 0.0 if slots.quiet_until <= now else slots.quiet_until - now

    def take(self, need: Need, _now: float) -> None:
        """See :class:`Resource`."""
        self.in_flight += 1
        self._slots.in_flight += 1
        need.epoch = self._slots.epoch

    def give(self, _need: Need, _now: float) -> None:
        """See :class:`Resource`."""
        self.in_flight -= 1
        self._slots.in_flight -= 1


class Quota:
    """Jobs at once of one opener, on however many devices."""

    __slots__ = ("cap", "in_flight")

    def __init__(self, cap: int) -> None:
        self.cap = max(1, cap)
        self.in_flight = 0

    def delay(self, _need: Need, _now: float) -> float:
        """See :class:`Resource`."""
        return math.inf if self.in_flight >= self.cap else 0.0

    def take(self, _need: Need, _now: float) -> None:
        """See :class:`Resource`."""
        self.in_flight += 1

    def give(self, _need: Need, _now: float) -> None:
        """See :class:`Resource`."""
        self.in_flight -= 1


class Bucket:
    """At most ``per_minute`` units in any 60 seconds, of which one second's worth may come at once.

    An amount above the burst goes through alone and leaves a debt.

    >>> bucket = Bucket(60)
    >>> bucket.spend(1, 0.0); bucket.missing(1, 0.0), bucket.missing(1, 0.75)
    (1.0, 0.25)
    """

    def __init__(self, per_minute: float) -> None:
        self._level = math.inf
        self._last = -math.inf
        self.limit(per_minute)

    def limit(self, per_minute: float) -> None:
        """So many from now on."""
        self._burst = max(1.0, per_minute / 60)
        # A full burst at the window's start plus what refills within it must not exceed per_minute.
        self._rate = (per_minute - self._burst + 1) / 60 if per_minute > 1 else per_minute / 60
        self._level = min(self._level, self._burst)

    def missing(self, amount: float, now: float) -> float:
        """Seconds until so much is there."""
        self._refill(now)
        lack = min(amount, self._burst) - self._level
        return lack / self._rate if lack > ENOUGH else 0.0

    def spend(self, amount: float, now: float) -> None:
        """Take it; a negative amount gives back."""
        self._refill(now)
        self._level = min(self._burst, self._level - amount)

    def _refill(self, now: float) -> None:
        if now > self._last:
            self._level = min(self._burst, self._level + (now - self._last) * self._rate)
            self._last = now


class Requests:
    """Requests per minute."""

    def __init__(self, per_minute: float) -> None:
        self._bucket = Bucket(per_minute)

    def limit(self, per_minute: float) -> None:
        """So many from now on."""
        self._bucket.limit(per_minute)

    def delay(self, _need: Need, now: float) -> float:
        """See :class:`Resource`."""
        return self._bucket.missing(1, now)

    def take(self, _need: Need, now: float) -> None:
        """See :class:`Resource`."""
        self._bucket.spend(1, now)

    def give(self, _need: Need, _now: float) -> None:
        """A request that was made was made."""


class Tokens(Requests):
    """Tokens per minute: what a job reserved and did not use comes back at its end."""

    def delay(self, need: Need, now: float) -> float:
        """See :class:`Resource`."""
        return self._bucket.missing(need.tokens, now)

    def take(self, need: Need, now: float) -> None:
        """See :class:`Resource`."""
        self._bucket.spend(need.tokens, now)

    def give(self, need: Need, now: float) -> None:
        """See :class:`Resource`."""
        self._bucket.spend(need.used - need.tokens, now)


class Memory:
    """Bytes."""

    def __init__(self, size: int) -> None:
        self.size, self.free = size, size

    def delay(self, need: Need, _now: float) -> float:
        """See :class:`Resource`."""
        return 0.0 if need.memory <= self.free else math.inf

    def take(self, need: Need, _now: float) -> None:
        """See :class:`Resource`."""
        self.free -= need.memory

    def give(self, need: Need, _now: float) -> None:
        """See :class:`Resource`."""
        self.free += need.memory
