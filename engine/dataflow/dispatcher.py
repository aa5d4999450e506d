"""Who goes next: jobs that are ready wait in order of rank, and start the moment that everything they take is free.

One per process (``gates.shared``), on the shared event loop; a simulation has one of its own on its own clock. It knows
nothing of models, stages or asyncio: a job says what it takes and is told when it has it.
"""

from __future__ import annotations

import heapq
import itertools
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

from ..errors import ModelError
from .capacity import Resource
from .clock import Clock, Timer
from .devices import Place

Rank = tuple[int, int, int, int, int]
"""Class, minus priority, minus depth, age, root: the least goes first. See :func:`rank`."""


def rank(stage_class: int = 0, priority: int = 0, depth: int = 0, age: int = 0, root: int = 0) -> Rank:
    """The place in the queue.

    Parameters
    ----------
    stage_class : interactive (0) before batch (1). priority : higher first. depth : the deepest stage first, for what is
        nearly done frees most. age : a query's number, the oldest first. root : the row of the query's source that it is for,
        the oldest first.

    >>> sorted([rank(age=2), rank(depth=1, age=3), rank(age=1)])
    [(0, 0, -1, 3, 0), (0, 0, 0, 1, 0), (0, 0, 0, 2, 0)]
    """
    return (stage_class, -priority, -depth, age, root)


class Job(ABC):
    """Something to start once. A subclass says what starting is.

    Parameters
    ----------
    lane : where it may run. rank : see :func:`rank`; of equals, who came first.
    units : how much it is, for choosing the faster device. tokens, memory : what it takes besides a slot.

    Attributes
    ----------
    place : where it runs; ``None`` before and after. held : what it took there.
    used : tokens that it came to; what was reserved, if nobody knows.
    number : of jobs with equal rank, the least goes first. queued, started : moments on the dispatcher's clock.
    """

    __slots__ = (
        "epoch", "held", "lane", "memory", "number", "place", "queued", "rank", "started", "tokens", "units", "used",
        "withdrawn",
    )  # fmt: skip
    epoch: int
    held: tuple[Resource, ...]
    number: int
    queued: float
    started: float

    def __init__(self, lane: Lane, rank: Rank, units: float | None = None, tokens: int = 0, memory: int = 0) -> None:
        self.lane, self.rank, self.units = lane, rank, units
        self.tokens = self.used = tokens
        self.memory = memory
        self.place: Place | None = None
        self.withdrawn = False

    @abstractmethod
    def launched(self) -> None:
        """It has what it takes: start, without blocking and without calling the dispatcher."""

    @abstractmethod
    def barred(self, error: ModelError) -> None:
        """It was waiting, and shall wait no longer, for nowhere is anybody who could do it: fail with this error, likewise."""


class Lane:
    """Jobs that take the same things, and wait for them in order of rank.

    Parameters
    ----------
    places : where they may run, the preferred first.
    """

    def __init__(self, *places: Place) -> None:
        self.places = places
        # Many calls have one of few ranks: a queue for each is cheaper than a heap of all.
        self._queues: dict[Rank, deque[Job]] = {}
        self._ranks: list[Rank] = []

    def push(self, job: Job) -> None:
        """One more waits."""
        queue = self._queues.get(job.rank)
        if queue is None:
            queue = self._queues[job.rank] = deque()
            heapq.heappush(self._ranks, job.rank)
        queue.append(job)

    @property
    def waiting(self) -> int:
        """How many wait; those that were withdrawn count until it would be their turn."""
        return sum(map(len, self._queues.values()))

    def clear(self) -> list[Job]:
        """Nobody waits any more; who did."""
        jobs = [job for place in sorted(self._ranks) for job in self._queues[place] if not job.withdrawn]
        self._queues.clear()
        self._ranks.clear()
        return jobs

    def barred(self, now: float) -> ModelError | None:
        """Why nobody may come: the circuit of every place is open."""
        for place in self.places:
            if not place.device.breaker.rests(now):
                return None
        return self.places[0].device.breaker.error

    def head(self) -> Job | None:
        """Who is next; ``None``: nobody waits."""
        while self._ranks:
            queue = self._queues[self._ranks[0]]
            while queue and queue[0].withdrawn:
                queue.popleft()
            if queue:
                return queue[0]
            del self._queues[heapq.heappop(self._ranks)]
        return None

    def pop(self) -> None:
        """The head has started."""
        self._queues[self._ranks[0]].popleft()

    def place(self, job: Job, now: float, short: dict[Resource, float]) -> Place | None:
        """Where the job can start now, and ends soonest. If nowhere, what it lacks is added to ``short``, with the seconds
        until it could be had."""
        if len(self.places) == 1:
            return self.places[0] if self.places[0].fits(job, now, short, short) else None
        lacks: dict[Resource, float] = {}
        found = [place for place in self.places if place.fits(job, now, short, lacks)]
        if not found:
            short.update(lacks)
            return None
        return min(found, key=lambda place: place.device.seconds(place.served.kind, job.units))


def _urgency(lane: Lane) -> tuple[Rank | tuple[()], int]:
    """For finding the lane whose head goes first; one without a head is done with at once."""
    job = lane.head()
    return ((), 0) if job is None else (job.rank, job.number)


class Dispatcher:
    """Starts jobs. All methods on one thread.

    A job never passes a better ranked one on anything that the better one waits for, so nothing starves; and nobody waits
    behind a job that waits for something else.

    Parameters
    ----------
    clock : moves timers for rates and pauses.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._numbers = itertools.count()
        self._busy: dict[Lane, None] = {}
        self._timer: Timer | None = None

    def submit(self, *jobs: Job) -> None:
        """Jobs are ready; :meth:`Job.launched` is called in here for those that can start at once."""
        now = self.clock.now()
        if not self._busy and len(jobs) == 1:  # the common case under light load
            job = jobs[0]
            job.queued = now
            if (place := job.lane.place(job, now, {})) is not None:
                self._start(job, place, now)
                return
        if self._push(jobs, now):
            self._pump(now)

    def _push(self, jobs: Sequence[Job], now: float) -> bool:
        """Whether any of them came to the head of its lane: only then can anything start."""
        for job in jobs:
            job.queued, job.number = now, next(self._numbers)
            job.lane.push(job)
            self._busy[job.lane] = None
        return any(job.lane.head() is job for job in jobs)

    def withdraw(self, *jobs: Job) -> None:
        """Waiting jobs shall not start."""
        # One that waited at the head may have held others back.
        heads = any(job.lane.head() is job for job in jobs)
        for job in jobs:
            job.withdrawn = True
        if heads:
            self._pump(self.clock.now())

    def bar(self) -> None:
        """A circuit has opened: who waits for nothing else fails."""
        now = self.clock.now()
        for lane in list(self._busy):
            if (error := lane.barred(now)) is not None:
                for job in lane.clear():
                    job.withdrawn = True
                    job.barred(error)

    def finish(self, job: Job, ready: Sequence[Job] = ()) -> None:
        """A job has ended: what it held is free, and those that waited for it are ``ready``."""
        assert job.place is not None, "it never started, or has ended before"
        now = self.clock.now()
        for resource in job.held:
            resource.give(job, now)
        job.place = None
        if ready:
            self._push(ready, now)
        if self._busy:
            self._pump(now)

    def _pump(self, now: float) -> None:
        """Start all that can start."""
        short: dict[Resource, float] = {}
        lanes = list(self._busy)
        while lanes:
            lane = lanes[0] if len(lanes) == 1 else min(lanes, key=_urgency)
            job = lane.head()
            if job is None:
                lanes.remove(lane)
                del self._busy[lane]
            elif (place := lane.place(job, now, short)) is None:
                lanes.remove(lane)
            else:
                lane.pop()
                self._start(job, place, now)
        wait = min(short.values(), default=math.inf)
        if wait < math.inf or self._timer is not None:
            self._wake_at(now + wait)

    def _start(self, job: Job, place: Place, now: float) -> None:
        job.place, job.held, job.started = place, place.resources, now
        for resource in job.held:
            resource.take(job, now)
        job.launched()

    def _wake_at(self, when: float) -> None:
        # Always a new timer: the old one may belong to a loop that was closed.
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if math.isinf(when) else self.clock.call_at(when, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._pump(self.clock.now())
