"""How long calls take by the clock: devices work side by side, and a stage begins with the first answer of the one below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .figure import Figure, joined, total


@dataclass(frozen=True, slots=True)
class StageTime:
    """The calls of one call site.

    Parameters
    ----------
    device : what they share with calls of other sites. slots : calls that it takes at once from here.
    calls : how many there will be. work : seconds of all, one after the other. a_call : of one.
    at_least : seconds that declared rates (requests and tokens per minute) make them take.
    """

    device: str
    slots: float
    calls: float
    work: Figure
    a_call: Figure
    at_least: float = 0.0


def alone(stage: StageTime) -> Figure:
    """One call site that has its device for itself.

    >>> alone(StageTime("m", 4, 8, Figure(8.0, "s", 7.0, 9.0), Figure(1.0, "s", 0.9, 1.1))).value
    2.5
    """
    return _of_device([stage])


def together(stages: Sequence[StageTime]) -> Figure | None:
    """All of a query's calls: the slowest device is busy all the time, and the last row still goes through what is above.

    ``None``: there are no calls.
    """
    asking = [stage for stage in stages if stage.calls > 0]
    if not asking:
        return None
    devices: dict[str, list[StageTime]] = {}
    for stage in asking:
        devices.setdefault(stage.device, []).append(stage)
    slowest = max(map(_of_device, devices.values()), key=lambda figure: figure.value)
    longest = max(asking, key=lambda stage: stage.a_call.value)
    first = [stage.a_call for stage in asking if stage is not longest]
    source = joined(*(stage.work.source for stage in asking))
    return replace(total([slowest, *first]), source=source)


def _of_device(stages: Sequence[StageTime]) -> Figure:
    """Rounds of calls; where there are several, the last one is half empty on average."""
    calls = sum(stage.calls for stage in stages)
    slots = max(1.0, min(max(stage.slots for stage in stages), calls))
    busy = total([stage.work.scaled(1 / slots) for stage in stages])
    if calls > slots:
        mean = sum(stage.work.value for stage in stages) / calls
        busy = _later(busy, mean / 2)
    waiting = sum(stage.at_least for stage in stages)
    return busy if busy.value >= waiting else Figure(waiting, joined(busy.source, "declared rates"), waiting, waiting)


def _later(figure: Figure, seconds: float) -> Figure:
    low, high = (None if end is None else end + seconds for end in (figure.low, figure.high))
    return Figure(figure.value + seconds, figure.source, low, high)
