"""A device while it is used: how much of it is free, and what its calls have taught."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from weakref import WeakSet

from .breaker import Breaker
from .calibration import Calibration
from .capacity import Memory, Need, Requests, Resource, Share, Slots, Tokens
from .pace import Pace
from .resources import Device, Served

_numbers = itertools.count()


class Place:
    """Where jobs of one kind may run, and what they take there.

    Parameters
    ----------
    device : the device. served : the kind of work, and the limits that its opener knows of.
    slots : the device's, or the opener's share of them. opener : by name. also : what else the opener's jobs take.

    Attributes
    ----------
    resources : in the order in which they are asked. counts_tokens : whether a rate of tokens is among them.
    calibration, pace : what jobs of this kind teach of the device; whoever runs them adds to it.
    """

    __slots__ = (
        "__weakref__", "also", "calibration", "counts_tokens", "device", "number", "opener", "pace", "resources", "served",
        "slots",
    )  # fmt: skip

    def __init__(
        self,
        device: LiveDevice,
        served: Served,
        slots: Slots | Share,
        opener: str = "",
        also: tuple[Resource, ...] = (),
    ) -> None:
        self.device, self.served, self.slots, self.opener, self.also = device, served, slots, opener, also
        self.number = next(_numbers)
        self.resources: tuple[Resource, ...] = ()
        self.counts_tokens = False
        self.calibration = device.calibration(served.kind)
        self.pace = device.pace(served.kind)

    def fits(self, need: Need, now: float, short: Mapping[Resource, float], lacks: dict[Resource, float]) -> bool:
        """Whether a job could start here now. If not, what it lacks first is added to ``lacks``, with the seconds until it
        could be had, unless it is in ``short`` already, where others lack it who go before."""
        for resource in self.resources:
            if resource in short:
                return False
            if delay := resource.delay(need, now):
                lacks[resource] = delay
                return False
        return True


class LiveDevice:
    """A device's capacity, shared by everybody who dispatches to it.

    Used on the dispatcher's thread, except for :meth:`open` and :meth:`place`.

    Parameters
    ----------
    device : as declared.

    Attributes
    ----------
    slots : the device's, for all who use it. breaker : its circuit.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self.slots, self.breaker = Slots(device.slots), Breaker()
        self._memory = () if device.memory is None else (Memory(device.memory),)
        self._rates: dict[tuple[str, type[Requests]], Requests] = {}
        self._learnt: dict[str, Calibration] = {}
        self._paces: dict[str, Pace] = {}
        self._places: WeakSet[Place] = WeakSet()

    @property
    def name(self) -> str:
        """The device's."""
        return self._device.name

    @property
    def memory(self) -> int | None:
        """Its size in bytes, if it counts."""
        return self._device.memory

    def open(self, served: Served, cap: int, opener: str = "", also: tuple[Resource, ...] = ()) -> Place:
        """A way to the device with a cap of its own.

        The largest cap that is open is the cap on all jobs of the device together. Of an opener's limits for a kind of work
        the newest hold, of several openers' the lowest; they hold for those who are there already, too.
        """
        place = Place(self, served, Share(self.slots, cap), opener, also)
        self._add(place)
        slots = max(p.slots.cap for p in self._places if isinstance(p.slots, Share))
        self._device = replace(self._device, slots=slots)
        self.slots.resize(slots)
        return place

    def place(self, kind: str) -> Place:
        """What a job of this kind takes: a slot, its rates, memory."""
        place = Place(self, self._device.served(kind), self.slots)
        self._add(place)
        return place

    def _add(self, place: Place) -> None:
        kind = place.served.kind
        self._places.add(place)
        same = [p for p in self._places if p.served.kind == kind]
        self._limit(kind, same)
        for p in same:
            rates = [self._rates.get((kind, rate)) for rate in (Requests, Tokens)]
            known = [rate for rate in rates if rate is not None]
            p.resources = (p.slots, *known, *self._memory, *p.also)
            p.counts_tokens = rates[1] is not None

    def _limit(self, kind: str, places: Iterable[Place]) -> None:
        newest = {p.opener: p.served for p in sorted(places, key=lambda p: p.number)}.values()
        limits = (Requests, [s.rpm for s in newest]), (Tokens, [s.tpm for s in newest])
        for rate, known in limits:
            lowest = min((per_minute for per_minute in known if per_minute), default=None)
            if lowest is None:
                self._rates.pop((kind, rate), None)
            else:
                self._rates.setdefault((kind, rate), rate(lowest)).limit(lowest)

    def declare(self, served: Served, watts_active: float | None = None) -> None:
        """What a kind of work costs here, and what the device draws while it works (``None``: unknown); the newest holds."""
        others = tuple(known for known in self._device.serves if known.kind != served.kind)
        self._device = replace(self._device, serves=(*others, served), watts_active=watts_active)

    def calibration(self, kind: str) -> Calibration:
        """What jobs of this kind teach; whoever runs them adds to it."""
        return self._learnt.setdefault(kind, Calibration())

    def pace(self, kind: str) -> Pace:
        """How fast the last jobs of this kind were; likewise."""
        return self._paces.setdefault(kind, Pace())

    def served(self, kind: str) -> Served:
        """What is known of this kind of work; its service time as learnt, if anything was."""
        served, learnt = self._device.served(kind), self._learnt.get(kind)
        return replace(served, service=learnt.service()) if learnt and learnt.calls else served

    def seconds(self, kind: str, units: float | None) -> float:
        """How long one more job would take."""
        return self.served(kind).service.seconds(units) * self.crowding(1)

    def crowding(self, more: int = 0) -> float:
        """The factor on the service time by what is in flight, and so many more."""
        return self._device.crowding(self.slots.in_flight + more)

    def snapshot(self) -> Device:
        """The device as it is known by now, for the simulator and for EXPLAIN."""
        kinds = dict.fromkeys([*(served.kind for served in self._device.serves), *self._learnt])
        return replace(self._device, serves=tuple(map(self.served, kinds)))
