"""A stage graph being worked off by a dispatcher: a stage is submitted when all before it have ended.

The same code drives a simulation and real work; they differ in the clock and in the executor.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from ..errors import ModelError, ProgrammingError
from .devices import LiveDevice
from .dispatcher import Dispatcher, Job, Lane, rank
from .stage_graph import CLASSES, Stage, StageGraph

Done = Callable[[BaseException | None], None]


class Executor(Protocol):
    """Does a stage's work."""

    def start(self, stage: Stage, device: str, done: Done) -> Callable[[], object]:
        """Begin without blocking, call ``done`` once at the end, and not in here. Returns what cancels it, which leads to
        ``done`` with a ``CancelledError`` if the work had not ended."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """A stage started or ended on a device, in seconds of the run's clock. A cancelled or failed stage has ended, too."""

    at: float
    what: Literal["start", "end"]
    stage: str
    device: str


class StageJob(Job):
    """A stage that is ready."""

    __slots__ = ("_run", "cancel", "stage")

    def __init__(self, run: GraphRun, stage: Stage, lane: Lane, depth: int) -> None:
        place = rank(CLASSES.index(stage.stage_class), stage.priority, depth, run.age)
        super().__init__(lane, place, stage.work.units, stage.work.tokens, stage.work.memory)
        self.stage = stage
        self.cancel: Callable[[], object] | None = None
        self._run = run

    def launched(self) -> None:
        """Hand it to the executor."""
        self._run.launched(self)

    def barred(self, error: ModelError) -> None:
        """Its graph ends."""
        self._run.cancel(error)


class GraphRun:
    """One execution of one graph.

    The first failure, and :meth:`cancel`, withdraw what waits and cancel what runs.

    Parameters
    ----------
    dispatcher : shared with other runs. devices : by the names that stages give.
    age : a query's number; of equal stages the oldest query's goes first.
    ended : called once, when nothing of the graph waits or runs any more.

    Attributes
    ----------
    events : what happened, in order. error : why it ended before its end.

    Raises
    ------
    ProgrammingError : a stage can run nowhere: it names no device, an unknown one, or none with so much memory.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        graph: StageGraph,
        devices: Mapping[str, LiveDevice],
        executor: Executor,
        *,
        age: int = 0,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self.age = age
        self.events: list[Event] = []
        self.error: BaseException | None = None
        self._dispatcher, self._executor, self._ended = dispatcher, executor, ended
        self._after = graph.successors()
        self._missing = Counter(dst for later in self._after.values() for dst in later)
        lanes: dict[tuple[str, tuple[str, ...]], Lane] = {}
        self._jobs = {
            stage.id: StageJob(self, stage, _lane(stage, devices, lanes), depth)
            for stage, depth in zip(graph.stages, graph.depths().values(), strict=True)
        }
        self._open: dict[str, StageJob] = {}
        self._over = False

    def start(self) -> None:
        """Begin, unless it was cancelled meanwhile."""
        if self._over:
            return
        first = [job for stage, job in self._jobs.items() if not self._missing[stage]]
        self._open.update((job.stage.id, job) for job in first)
        self._dispatcher.submit(*first)
        self._check_end()

    def cancel(self, reason: BaseException | None = None) -> None:
        """Stop soon; idempotent."""
        if self._over or self.error is not None:
            return
        self.error = reason or asyncio.CancelledError()
        waiting = [job for job in self._open.values() if job.place is None]
        running = [job for job in self._open.values() if job.place is not None]
        for job in waiting:
            del self._open[job.stage.id]
        self._dispatcher.withdraw(*waiting)
        for job in running:
            if job.cancel is not None:
                job.cancel()
        self._check_end()

    def launched(self, job: StageJob) -> None:
        """A stage has what it takes."""
        clock = self._dispatcher.clock
        self._note(job, "start")
        try:
            job.cancel = self._executor.start(job.stage, _device(job), partial(self._done, job))
        except Exception as error:
            clock.call_at(clock.now(), partial(self._done, job, error))

    def _done(self, job: StageJob, error: BaseException | None) -> None:
        self._note(job, "end")
        del self._open[job.stage.id]
        if error is not None:
            self.cancel(error)
        ready = [] if self.error else self._ready_after(job.stage.id)
        self._open.update((later.stage.id, later) for later in ready)
        self._dispatcher.finish(job, ready)
        self._check_end()

    def _check_end(self) -> None:
        if not self._open and not self._over:
            self._over = True
            self._ended()

    def _ready_after(self, stage: str) -> list[StageJob]:
        ready = []
        for later in self._after[stage]:
            self._missing[later] -= 1
            if not self._missing[later]:
                ready.append(self._jobs[later])
        return ready

    def _note(self, job: StageJob, what: Literal["start", "end"]) -> None:
        self.events.append(Event(self._dispatcher.clock.now(), what, job.stage.id, _device(job)))


def _device(job: StageJob) -> str:
    assert job.place is not None
    return job.place.device.name


def _lane(stage: Stage, devices: Mapping[str, LiveDevice], lanes: dict[tuple[str, tuple[str, ...]], Lane]) -> Lane:
    known = [devices[name] for name in stage.devices if name in devices]
    fits = [device for device in known if device.memory is None or device.memory >= stage.work.memory]
    if not fits:
        raise ProgrammingError(
            f"Stage {stage.id} can run nowhere: it needs {stage.work.memory:,} bytes on one of its devices "
            f"({', '.join(stage.devices) or 'it names none'}); there are {', '.join(devices) or 'none'}."
        )
    place = (stage.work.kind, tuple(device.name for device in fits))
    if place not in lanes:
        lanes[place] = Lane(*(device.place(stage.work.kind) for device in fits))
    return lanes[place]


class TaskExecutor:
    """Real work: an awaitable per stage.

    Parameters
    ----------
    work : begins a stage on a device.
    """

    def __init__(self, work: Callable[[Stage, str], Awaitable[object]]) -> None:
        self._work = work

    def start(self, stage: Stage, device: str, done: Done) -> Callable[[], object]:
        """See :class:`Executor`."""
        task = asyncio.ensure_future(self._work(stage, device))
        task.add_done_callback(lambda task: done(_error(task)))
        return task.cancel


def _error(task: asyncio.Future[Any]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def run_graph(
    dispatcher: Dispatcher,
    graph: StageGraph,
    devices: Mapping[str, LiveDevice],
    work: Callable[[Stage, str], Awaitable[object]],
    *,
    age: int = 0,
) -> list[Event]:
    """Do the work of a graph, and tell what happened.

    Cancelling it, also by a deadline (``asyncio.timeout``), cancels its stages and waits for their end; so does the first
    stage that fails, whose error is raised.
    """
    ended = asyncio.Event()
    run = GraphRun(dispatcher, graph, devices, TaskExecutor(work), age=age, ended=ended.set)
    run.start()
    try:
        await ended.wait()
    except asyncio.CancelledError:
        run.cancel()
        await ended.wait()
        raise
    if run.error is not None:
        raise run.error
    return run.events
