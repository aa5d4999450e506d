"""Calls of models as jobs of the process's one dispatcher."""

from __future__ import annotations

import asyncio
import copy
import os
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from ...udfs.models.unavailable import retry_after_of
from ...udfs.models.wrap.gate import LONGEST_PAUSE_S, Limits, Turn
from ..errors import ModelError, ModelTimeout, ModelUnavailable
from ..store.traces import Outcome, StageTrace
from .balance import BalancedLane
from .capacity import Quota
from .clock import Clock, LoopClock
from .collector import Patience
from .devices import LiveDevice, Place
from .dispatcher import Dispatcher, Job, Rank, rank
from .resources import Device, ResourceModel, Served


class Traces(Protocol):
    """Takes a line per call.

    Attributes
    ----------
    epoch : Unix time at the zero of the dispatcher's clock.
    """

    epoch: float

    def add(self, trace: StageTrace) -> None:
        """A call has ended."""
        ...


NO_RANK = rank()
LAST = rank(stage_class=9)
_patience = Patience()


@dataclass(frozen=True, slots=True)
class Origin:
    """On whose behalf a call is made.

    Parameters
    ----------
    rank : its place in the queue. query_id, stage : for the trace. traces : who keeps it; ``None``: nobody.
    """

    rank: Rank = NO_RANK
    query_id: str = ""
    stage: str = ""
    traces: Traces | None = None


ORIGIN: ContextVar[Origin] = ContextVar("anser_origin", default=Origin())  # noqa: B039 (it is frozen)
"""Comes on the task's context, for between the asker and the gate stand wrappers that need not know."""


ROOT: ContextVar[int] = ContextVar("anser_root", default=0)
"""The row of the source that a question is for, on the asker's context."""


class Gates:
    """Opens models' gates to the devices of one dispatcher.

    A device lives as long as a model that was opened for it. Opening may happen on any thread, calls on the dispatcher's.
    """

    def __init__(self, clock: Clock) -> None:
        self.dispatcher = Dispatcher(clock)
        self._devices: WeakValueDictionary[str, LiveDevice] = WeakValueDictionary()
        self._lock = threading.Lock()

    def open(self, limits: Limits) -> CallGate:
        """The way for one opened model. Its own cap holds for its calls, the largest of those open for the endpoint's."""
        served = Served(limits.model, rpm=limits.rpm, tpm=limits.tpm)
        quota = Quota(limits.total) if limits.total is not None and limits.others else None
        also = () if quota is None else (quota,)
        with self._lock:
            devices = [self._device(endpoint, limits.cap) for endpoint in limits.endpoints]
            places = [device.open(served, limits.cap, limits.name, (device.breaker, *also)) for device in devices]
        return CallGate(self.dispatcher, places, quota)

    def _device(self, endpoint: str, cap: int) -> LiveDevice:
        device = self._devices.get(endpoint)
        if device is None:
            device = self._devices[endpoint] = LiveDevice(Device(endpoint, "endpoint", cap))
        return device

    def resources(self) -> ResourceModel:
        """The devices in use, with what is known of them by now."""
        with self._lock:
            return ResourceModel(tuple(device.snapshot() for device in self._devices.values()))


class CallGate:
    """The ``Gate`` of one opened model."""

    def __init__(self, dispatcher: Dispatcher, places: Sequence[Place], quota: Quota | None = None) -> None:
        self.dispatcher, self.lane = dispatcher, BalancedLane(*places)
        self.device, self.model = places[0].device, places[0].served.kind
        self._quota = quota

    @property
    def limit(self) -> int:
        """Calls that it lets in at once now: the model's own cap, or what its endpoints take."""
        taken = sum(min(place.slots.cap, place.device.slots.limit) for place in self.lane.places)
        return taken if self._quota is None else min(taken, self._quota.cap)

    @property
    def in_flight(self) -> int:
        """Calls of this model that are in."""
        return sum(place.slots.in_flight for place in self.lane.places)

    @property
    def barred(self) -> bool:
        """Whether the circuit of every endpoint is open."""
        return all(place.device.breaker.open for place in self.lane.places)

    @property
    def counts_tokens(self) -> bool:
        """Whether there is a rate of tokens."""
        return any(place.counts_tokens for place in self.lane.places)

    async def enter(self, tokens: int, tried: Sequence[Turn] = (), *, spare: bool = False) -> CallTurn:
        """See :class:`Gate`."""
        lane = self.lane.without([self.lane.places[turn.endpoint] for turn in tried]) if tried else self.lane
        if lane.places[0].device.breaker.open and (error := lane.barred(self.dispatcher.clock.now())) is not None:
            raise copy.copy(error)
        turn = CallTurn(self, lane, ORIGIN.get(), tokens, spare=spare)
        _patience.begin()
        self.dispatcher.submit(turn)
        if turn.place is None:
            await turn.wait()
        return turn


class CallTurn(Job):
    """The ``Turn`` of one attempt of a call."""

    __slots__ = ("_ended", "_gate", "_origin", "_outcome", "_waiter", "endpoint")

    def __init__(self, gate: CallGate, lane: BalancedLane, origin: Origin, tokens: int, *, spare: bool) -> None:
        super().__init__(lane, LAST if spare else origin.rank, tokens, tokens)
        self._gate, self._origin = gate, origin
        self._outcome: Outcome = "error"
        self._waiter: asyncio.Future[None] | None = None
        self._ended: float | None = None
        self.endpoint = 0

    @property
    def _there(self) -> Place:
        assert self.place is not None, "it never started, or has ended before"
        return self.place

    @property
    def slow_s(self) -> float | None:
        """See :class:`Turn`."""
        return self._there.pace.slow()

    def launched(self) -> None:
        """Let the asker go on."""
        places = self._gate.lane.places
        if len(places) > 1:
            place = self._there
            self.endpoint = places.index(place)
            if place.slots.in_flight == 1:
                place.pace.begin(self.started)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def barred(self, error: ModelError) -> None:
        """Let the asker fail."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(copy.copy(error))

    async def wait(self) -> None:
        """Until it is launched. Cancellation, and with it a deadline, ends the waiting and leaves nothing behind."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        except BaseException:
            _patience.end()
            if self.place is None:
                self._gate.dispatcher.withdraw(self)
            else:  # it was launched in the same turn of the loop, and will never know: pass it on, or the slot is lost
                self.used = 0
                self._gate.dispatcher.finish(self)
            raise

    def answered(self, tokens: int) -> None:
        """There is an answer."""
        self._outcome, self._ended = "ok", self._gate.dispatcher.clock.now()
        self.used = tokens
        self._there.device.slots.succeeded()
        self._somebody_there()

    def refused(self, retry_after_s: float | None) -> None:
        """The endpoint wants fewer calls."""
        self._outcome = "refused"
        self._there.device.slots.refused(self.epoch)
        self._pause(retry_after_s)
        self._somebody_there()

    def failed(self, error: ModelError) -> None:
        """What it says of the endpoint: of a timeout only what the one call through an open circuit says of it."""
        breaker, now = self._there.device.breaker, self._gate.dispatcher.clock.now()
        self._pause(retry_after_of(error))
        if isinstance(error, ModelUnavailable) or (isinstance(error, ModelTimeout) and breaker.probing(self)):
            if breaker.failed(self, error, now):
                self._gate.dispatcher.bar()
        elif not isinstance(error, ModelTimeout) and not error.hopeless:
            self._somebody_there()

    def _pause(self, seconds: float | None) -> None:
        if seconds and seconds <= LONGEST_PAUSE_S:  # else nobody waits for it: who comes next hears it, too
            self._there.device.slots.pause(self._gate.dispatcher.clock.now() + seconds)

    def _somebody_there(self) -> None:
        breaker = self._there.device.breaker
        if breaker.failures:
            breaker.succeeded()

    def leave(self) -> None:
        """Free what it held, learn from it, and write it down."""
        gate, origin, place = self._gate, self._origin, self._there
        ended = gate.dispatcher.clock.now() if self._ended is None else self._ended
        seconds = ended - self.started
        if self._outcome == "ok":
            place.calibration.observe(self.used, seconds)
            place.pace.observe(seconds, ended)
        else:
            place.pace.at_least(seconds, ended)
        gate.dispatcher.finish(self)
        _patience.end()
        if (traces := origin.traces) is not None:
            epoch = traces.epoch
            traces.add(
                (origin.query_id, origin.stage, place.device.name, gate.model, self.used, epoch + self.queued,
                 epoch + self.started, epoch + ended, self._outcome)
            )  # fmt: skip


_lock = threading.Lock()
_shared: Gates | None = None


def shared() -> Gates:
    """The process's, for calls on the shared event loop."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = Gates(LoopClock())
        return _shared


def _after_fork_in_child() -> None:
    # What is in flight in the parent will never end here.
    global _lock, _shared
    _lock, _shared = threading.Lock(), None
    _patience.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
