"""What stages run on, and how long they take there: the one cost model of dispatching, simulation and placement.

Declared, or discovered when a model is opened, and calibrated from finished calls (``calibration``).
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ..errors import ProgrammingError

DeviceKind = Literal["cpu", "gpu", "endpoint", "disk", "link"]


@dataclass(frozen=True, slots=True)
class Service:
    """Seconds for one unit of dispatching: ``alpha + beta · units``, give or take.

    Parameters
    ----------
    alpha : seconds whatever the size. beta : seconds per unit.
    jitter : standard deviation of the time's logarithm.

    >>> Service(0.2, 0.001).seconds(300)
    0.5
    """

    alpha: float = 0.0
    beta: float = 0.0
    jitter: float = 0.0

    def seconds(self, units: float | None) -> float:
        """What to expect."""
        return self.alpha + self.beta * (units or 0.0)

    def sampled(self, units: float | None, source: random.Random) -> float:
        """One draw: log-normal with the expected time as its mean."""
        if not self.jitter:
            return self.seconds(units)
        return self.seconds(units) * source.lognormvariate(-(self.jitter**2) / 2, self.jitter)


@dataclass(frozen=True, slots=True)
class Served:
    """What a device asks for one kind of work.

    Parameters
    ----------
    kind : see ``Work.kind``. rpm, tpm : requests and tokens per minute; ``None``: no such limit.
    price_in, price_out : US dollars per million tokens; ``None``: unknown.
    """

    kind: str
    service: Service = Service()
    rpm: float | None = None
    tpm: float | None = None
    price_in: float | None = None
    price_out: float | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """Something with slots.

    Parameters
    ----------
    slots : most stages at once.
    serves : kinds of work that it is known to do; it may be asked for others, whose time is unknown.
    batch : (stages at once, factor on the service time), rising; between two points the factor is interpolated.
    memory : bytes; ``None``: not counted. watts_idle, watts_active : ``None``: unknown.
    """

    name: str
    kind: DeviceKind
    slots: int
    serves: tuple[Served, ...] = ()
    batch: tuple[tuple[int, float], ...] = ()
    memory: int | None = None
    watts_idle: float | None = None
    watts_active: float | None = None

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ProgrammingError(f"Device {self.name} has {self.slots} slots; it needs one at least.")

    def served(self, kind: str) -> Served:
        """What it asks for this kind of work."""
        return next((served for served in self.serves if served.kind == kind), Served(kind))

    def crowding(self, at_once: int) -> float:
        """The factor on the service time of ``at_once`` stages; beyond the last point of ``batch`` it stays."""
        below, under = 1, 1.0
        for size, factor in self.batch:
            if size >= at_once:
                return under + (factor - under) * (at_once - below) / (size - below) if size > below else factor
            below, under = size, factor
        return under


@dataclass(frozen=True, slots=True)
class Link:
    """A way between devices.

    Parameters
    ----------
    latency : seconds. bandwidth : bytes per second. channels : transfers at once.
    """

    src: str
    dst: str
    latency: float
    bandwidth: float
    channels: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.latency) and self.latency >= 0 and self.bandwidth > 0):
            raise ProgrammingError(f"The link {self.src} → {self.dst} has a latency or bandwidth that makes no sense.")

    def device(self) -> Device:
        """The link as what XFER stages run on: work of the kind ``bytes``."""
        service = Service(self.latency, 1 / self.bandwidth)
        return Device(f"{self.src}→{self.dst}", "link", self.channels, (Served("bytes", service),))


@dataclass(frozen=True, slots=True)
class ResourceModel:
    """Devices and links.

    Raises
    ------
    ProgrammingError : two share a name, or a link ends nowhere.

    >>> model = ResourceModel((Device("duckdb", "cpu", 4),))
    >>> ResourceModel.from_json(model.to_json()) == model
    True
    """

    devices: tuple[Device, ...]
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        known = {device.name for device in self.devices}
        for link in self.links:
            if missing := sorted({link.src, link.dst} - known):
                raise ProgrammingError(f"The link {link.src} → {link.dst}: there is no device {', '.join(missing)}.")
        counts = Counter(device.name for device in self.places())
        if twice := sorted(name for name, count in counts.items() if count > 1):
            raise ProgrammingError(f"Two devices are called {', '.join(twice)}.")

    def places(self) -> tuple[Device, ...]:
        """Everything that stages run on: devices, and links as devices."""
        return self.devices + tuple(link.device() for link in self.links)

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ResourceModel:
        """From :meth:`to_json`, checked again."""
        document = json.loads(text)
        return cls(tuple(map(_device, document["devices"])), tuple(Link(**link) for link in document["links"]))


def _device(document: dict[str, Any]) -> Device:
    serves = tuple(replace(Served(**s), service=Service(**s["service"])) for s in document["serves"])
    batch = tuple((size, factor) for size, factor in document["batch"])
    return Device(**{**document, "serves": serves, "batch": batch})
