"""What would happen: the dispatcher's own loop on a clock that jumps, with durations drawn from the resource model.

Nothing is approximated but the durations: ranks, slots, rates, memory and order of service are the real dispatcher's.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterable
from functools import partial

from .clock import SimulatedClock
from .devices import LiveDevice
from .dispatcher import Dispatcher
from .graph_run import Done, Event, GraphRun
from .resources import ResourceModel
from .stage_graph import Stage, StageGraph

Seconds = Callable[[Stage, str], float]
"""How long a stage takes on a device."""


class SampledExecutor:
    """Work that is nothing but time.

    Parameters
    ----------
    clock : on which it passes. seconds : how much.
    """

    def __init__(self, clock: SimulatedClock, seconds: Seconds) -> None:
        self._clock, self._seconds = clock, seconds

    def start(self, stage: Stage, device: str, done: Done) -> Callable[[], object]:
        """See ``Executor``."""
        timer = self._clock.call_at(self._clock.now() + self._seconds(stage, device), partial(done, None))

        def cancel() -> None:
            timer.cancel()
            done(asyncio.CancelledError())

        return cancel


class Simulator:
    """Graphs on devices, in simulated time.

    Parameters
    ----------
    resources : the devices. seconds : durations, where they are known; else they are drawn from ``resources``.
    seed : of the draws.

    >>> from .resources import Device, Served, Service
    >>> from .stage_graph import Kind, Work
    >>> endpoint = Device("api", "endpoint", slots=2, serves=(Served("small", Service(alpha=0.5)),))
    >>> calls = [Stage(f"call {i}", Kind.MODEL, work=Work("small"), devices=("api",)) for i in range(5)]
    >>> simulator = Simulator(ResourceModel((endpoint,)))
    >>> run = simulator.add(StageGraph(tuple(calls)))
    >>> simulator.run(); makespan(run.events)
    1.5
    """

    def __init__(self, resources: ResourceModel, seconds: Seconds | None = None, seed: int = 0) -> None:
        self.clock = SimulatedClock()
        self._devices = {device.name: LiveDevice(device) for device in resources.places()}
        self._dispatcher = Dispatcher(self.clock)
        self._executor = SampledExecutor(self.clock, seconds or self._draw)
        self._random = random.Random(seed)
        self._ages = itertools.count()

    def add(self, graph: StageGraph, at: float = 0.0) -> GraphRun:
        """A query that comes at some time; later ones are younger."""
        run = GraphRun(self._dispatcher, graph, self._devices, self._executor, age=next(self._ages))
        self.clock.call_at(at, run.start)
        return run

    def run(self) -> None:
        """To the end."""
        self.clock.run()

    def _draw(self, stage: Stage, device: str) -> float:
        live, work = self._devices[device], stage.work
        # The stage itself is in flight already.
        return live.served(work.kind).service.sampled(work.units, self._random) * live.crowding()


def makespan(events: Iterable[Event]) -> float:
    """Seconds from the first start to the last end."""
    times = [event.at for event in events]
    return max(times) - min(times) if times else 0.0
