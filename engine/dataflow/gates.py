"""Calls of models as jobs of the process's one dispatcher."""

from __future__ import annotations

import asyncio
import os
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from ...udfs.models.wrap.gate import Limits
from ..store.traces import Outcome, StageTrace
from .clock import Clock, LoopClock
from .devices import LiveDevice, Place
from .dispatcher import Dispatcher, Job, Lane, Rank, rank
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
        with self._lock:
            device = self._devices.get(limits.endpoint)
            if device is None:
                device = LiveDevice(Device(limits.endpoint, "endpoint", limits.cap))
                self._devices[limits.endpoint] = device
            served = Served(limits.model, rpm=limits.rpm, tpm=limits.tpm)
            place = device.open(served, limits.cap, limits.name)
        return CallGate(self.dispatcher, place, limits.cap)

    def resources(self) -> ResourceModel:
        """The devices in use, with what is known of them by now."""
        with self._lock:
            return ResourceModel(tuple(device.snapshot() for device in self._devices.values()))


class CallGate:
    """The ``Gate`` of one opened model."""

    def __init__(self, dispatcher: Dispatcher, place: Place, cap: int) -> None:
        self.dispatcher, self.device, self.model = dispatcher, place.device, place.served.kind
        self.lane = Lane(place)
        self.calibration = self.device.calibration(self.model)
        self._place, self._cap = place, cap

    @property
    def limit(self) -> int:
        """Calls that it lets in at once now: the model's own cap, or what the endpoint takes."""
        return min(self._cap, self.device.slots.limit)

    @property
    def in_flight(self) -> int:
        """Calls of this model that are in."""
        return self._place.slots.in_flight

    @property
    def counts_tokens(self) -> bool:
        """Whether there is a rate of tokens."""
        return self._place.counts_tokens

    async def enter(self, tokens: int) -> CallTurn:
        """Wait for a turn."""
        turn = CallTurn(self, ORIGIN.get(), tokens)
        self.dispatcher.submit(turn)
        if turn.place is None:
            await turn.wait()
        return turn


class CallTurn(Job):
    """The ``Turn`` of one attempt of a call."""

    __slots__ = ("_gate", "_origin", "_outcome", "_waiter")

    def __init__(self, gate: CallGate, origin: Origin, tokens: int) -> None:
        super().__init__(gate.lane, origin.rank, tokens, tokens)
        self._gate, self._origin = gate, origin
        self._outcome: Outcome = "error"
        self._waiter: asyncio.Future[None] | None = None

    def launched(self) -> None:
        """Let the asker go on."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Until it is launched. Cancellation, and with it a deadline, ends the waiting and leaves nothing behind."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        except BaseException:
            if self.place is None:
                self._gate.dispatcher.withdraw(self)
            else:  # it was launched in the same turn of the loop, and will never know: pass it on, or the slot is lost
                self.used = 0
                self._gate.dispatcher.finish(self)
            raise

    def answered(self, tokens: int) -> None:
        """There is an answer."""
        self._outcome = "ok"
        self.used = tokens
        self._gate.device.slots.succeeded()

    def refused(self, retry_after_s: float | None) -> None:
        """The endpoint wants fewer calls."""
        self._outcome = "refused"
        device = self._gate.device
        device.slots.refused(self.epoch)
        if retry_after_s:
            device.slots.pause(self._gate.dispatcher.clock.now() + retry_after_s)

    def leave(self) -> None:
        """Free what it held, learn from it, and write it down."""
        gate, origin = self._gate, self._origin
        ended = gate.dispatcher.clock.now()
        if self._outcome == "ok":
            gate.calibration.observe(self.used, ended - self.started)
        gate.dispatcher.finish(self)
        if (traces := origin.traces) is not None:
            epoch = traces.epoch
            traces.add(
                (origin.query_id, origin.stage, gate.device.name, gate.model, self.used, epoch + self.queued,
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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
