"""Which of several endpoints a call goes to: where it is expected to end first, the waiting included.

Time is what the endpoint's last calls took (:mod:`.pace`), stretched by how much of it is in use. Where every slot is taken, a call
would end after those that wait before it: so a slow endpoint gets calls only when the queue for the fast ones is longer than
it is slow (the threshold policy of Lin and Kumar, 1984, "Optimal control of a queueing system with two heterogeneous
servers").
"""

from __future__ import annotations

from collections.abc import Sequence

from ...udfs.models.unavailable import all_failed
from ..errors import ModelError
from .capacity import Resource
from .devices import Place
from .dispatcher import Job, Lane


class BalancedLane(Lane):
    """A lane whose places are endpoints of one model."""

    def __init__(self, *places: Place) -> None:
        super().__init__(*places)
        self._narrower: dict[tuple[Place, ...], BalancedLane] = {}

    def without(self, tried: Sequence[Place]) -> BalancedLane:
        """The lane of the other places; this one, if there are none."""
        if not tried or not (left := tuple(place for place in self.places if place not in tried)):
            return self
        if left not in self._narrower:
            self._narrower[left] = BalancedLane(*left)
        return self._narrower[left]

    def barred(self, now: float) -> ModelError | None:
        """See :meth:`.dispatcher.Lane.barred`; each place's own reason."""
        if super().barred(now) is None:
            return None
        errors = [place.device.breaker.error for place in self.places]
        return all_failed([error for error in errors if error is not None])

    def place(self, job: Job, now: float, short: dict[Resource, float]) -> Place | None:
        """See :meth:`.dispatcher.Lane.place`; ``None`` also while it is worth waiting for a place that is taken."""
        if len(self.places) == 1:
            return super().place(job, now, short)
        lacks: dict[Resource, float] = {}
        free = [place for place in self.places if place.fits(job, now, short, lacks)]
        if not free:
            short.update(lacks)
            return None
        best = min(free, key=lambda place: (_seconds(place, now), _use(place)))
        taken = [
            place for place in self.places if place not in free and self._ends_sooner(place, _seconds(best, now), now)
        ]
        short.update((place.slots, place.pace.due(now)) for place in taken)
        return None if taken else best

    def _ends_sooner(self, taken: Place, seconds: float, now: float) -> bool:
        """Whether somebody who came last would end sooner there, waiting included; not if nobody answers there."""
        pace = taken.pace
        if not taken.slots.in_flight or taken.device.breaker.open or pace.due(now) <= 0:
            return False
        paused = max(0.0, taken.device.slots.quiet_until - now)
        return paused + pace.seconds(now, busy=True) * (1 + _use(taken)) * (1 + self.waiting / _limit(taken)) < seconds


def _seconds(place: Place, now: float) -> float:
    return place.pace.seconds(now, busy=place.slots.in_flight > 0) * (1 + _use(place))


def _use(place: Place) -> float:
    return place.device.slots.in_flight / place.device.slots.limit


def _limit(place: Place) -> int:
    return min(place.slots.cap, place.device.slots.limit)
