"""What holds for every graph: real dispatching and its simulation agree, nothing is oversubscribed, nobody waits in vain."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from anserdb.engine.dataflow.devices import LiveDevice
from anserdb.engine.dataflow.dispatcher import Dispatcher, rank
from anserdb.engine.dataflow.graph_run import Event, GraphRun, TaskExecutor
from anserdb.engine.dataflow.resources import Device, Link, ResourceModel, Served, Service
from anserdb.engine.dataflow.simulator import Simulator
from anserdb.engine.dataflow.stage_graph import CLASSES, Edge, Kind, Stage, StageGraph, Work
from tests.support.clock import VirtualClock

NAMES = ("d0", "d1", "d2")
KINDS = ("small", "large")
MEMORY = 10
LARGEST = 10
"""Tokens of a stage."""
# Ties are wanted: many stages shall end in the same moment.
SECONDS = st.sampled_from([0.0, 0.25, 1.0, 1.0, 2.0, 7.5])


@dataclass(frozen=True)
class World:
    """Queries that come at some time, and may be cancelled at another, on devices; how long every stage takes there."""

    resources: ResourceModel
    graphs: tuple[StageGraph, ...]
    arrivals: tuple[float, ...]
    cancels: tuple[float | None, ...]
    seconds: Mapping[tuple[str, str], float]

    def stages(self) -> dict[str, Stage]:
        return {stage.id: stage for graph in self.graphs for stage in graph.stages}

    def ranks(self) -> dict[str, tuple[int, ...]]:
        return {
            stage.id: rank(CLASSES.index(stage.stage_class), stage.priority, graph.depths()[stage.id], age)
            for age, graph in enumerate(self.graphs)
            for stage in graph.stages
        }

    def before(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {stage: set() for stage in self.stages()}
        for graph in self.graphs:
            for edge in graph.edges:
                found[edge.dst].add(edge.src)
        return found


@st.composite
def devices(draw: st.DrawFn, limits: bool) -> tuple[Device, ...]:
    rates = st.sampled_from([None, 3.0, 120.0]) if limits else st.none()
    tokens = st.sampled_from([None, 20.0]) if limits else st.none()
    return tuple(
        Device(
            name,
            "endpoint",
            draw(st.integers(1, 3)),
            tuple(Served(kind, Service(draw(SECONDS)), draw(rates), draw(tokens)) for kind in KINDS),
            memory=MEMORY if limits and draw(st.booleans()) else None,
        )
        for name in NAMES[: draw(st.integers(1, 3))]
    )


@st.composite
def graphs(draw: st.DrawFn, prefix: str, names: Sequence[str]) -> StageGraph:
    stages = tuple(
        Stage(
            f"{prefix}{number}",
            draw(st.sampled_from(Kind)),
            draw(st.text(max_size=3)),
            Work(draw(st.sampled_from(KINDS)), draw(st.none() | st.floats(0, 9)), draw(st.integers(0, LARGEST)),
                 draw(st.integers(0, MEMORY))),
            tuple(draw(st.permutations(names)))[: draw(st.integers(1, len(names)))],
            draw(st.booleans()),
            draw(st.sampled_from(CLASSES)),
            draw(st.integers(-1, 1)),
            draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 12)))
    )  # fmt: skip
    pairs = [(a.id, b.id) for at, b in enumerate(stages) for a in stages[:at]]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=14)) if pairs else []
    return StageGraph(stages, tuple(Edge(a, b, draw(st.none() | st.integers(0, 99))) for a, b in chosen))


@st.composite
def worlds(draw: st.DrawFn, limits: bool = True, cancels: bool = True) -> World:
    made = draw(devices(limits))
    names = [device.name for device in made]
    several = tuple(draw(graphs(f"q{number} ", names)) for number in range(draw(st.integers(1, 2))))
    seconds = {(stage.id, name): draw(SECONDS) for graph in several for stage in graph.stages for name in stage.devices}
    stops = st.none() | SECONDS if cancels else st.none()
    return World(
        ResourceModel(made),
        several,
        tuple(draw(SECONDS) for _ in several),
        tuple(draw(stops) for _ in several),
        seconds,
    )


def simulated(world: World) -> list[Event]:
    """The schedule, in simulated time."""
    simulator = Simulator(world.resources, lambda stage, device: world.seconds[stage.id, device])
    log: list[Event] = []
    runs = [simulator.add(graph, at) for graph, at in zip(world.graphs, world.arrivals, strict=True)]
    for run, at in zip(runs, world.cancels, strict=True):
        run.events = log
        if at is not None:
            simulator.clock.call_at(at, run.cancel)
    simulator.run()
    return log


async def dispatched(world: World) -> list[Event]:
    """The schedule of real tasks on a real event loop, whose clock alone is moved by hand."""
    clock, log = VirtualClock(), list[Event]()

    def work(stage: Stage, device: str) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        clock.call_at(clock.now() + world.seconds[stage.id, device], lambda: done.done() or done.set_result(None))  # type: ignore[arg-type, func-returns-value]
        return done

    live = {device.name: LiveDevice(device) for device in world.resources.places()}
    dispatcher, ended = Dispatcher(clock), asyncio.Semaphore(0)
    runs = []
    for age, (graph, at) in enumerate(zip(world.graphs, world.arrivals, strict=True)):
        run = GraphRun(dispatcher, graph, live, TaskExecutor(work), age=age, ended=ended.release)
        run.events = log
        clock.call_at(at, run.start)
        runs.append(run)
    for run, at in zip(runs, world.cancels, strict=True):
        if at is not None:
            clock.call_at(at, run.cancel)

    async def all_ended() -> None:
        for _ in runs:
            await ended.acquire()

    await clock.run(all_ended())
    return log


@given(worlds())
@settings(max_examples=100, deadline=None)
def test_real_dispatching_follows_its_simulation(world: World) -> None:
    assert asyncio.run(dispatched(world)) == simulated(world)


@given(worlds())
@settings(max_examples=100, deadline=None)
def test_no_device_gives_more_than_it_has(world: World) -> None:
    stages, log = world.stages(), simulated(world)
    for device in world.resources.places():
        held: list[Stage] = []
        for event in log:
            if event.device == device.name:
                (held.append if event.what == "start" else held.remove)(stages[event.stage])
                assert len(held) <= device.slots
                assert device.memory is None or sum(stage.work.memory for stage in held) <= device.memory
        assert not held


@given(worlds(cancels=False))
@settings(max_examples=100, deadline=None)
def test_no_minute_sees_more_requests_or_tokens_than_allowed(world: World) -> None:
    stages, log = world.stages(), simulated(world)
    for device in world.resources.places():
        for served in device.serves:
            starts = [
                (event.at, stages[event.stage].work.tokens)
                for event in log
                if event.what == "start"
                and event.device == device.name
                and stages[event.stage].work.kind == served.kind
            ]
            for begin, _ in starts:
                window = [tokens for at, tokens in starts if begin <= at < begin + 60 - 1e-6]
                assert served.rpm is None or len(window) <= served.rpm
                # The largest may go alone, and leaves a debt.
                assert served.tpm is None or sum(window) <= served.tpm + LARGEST


@given(worlds(cancels=False))
@settings(max_examples=100, deadline=None)
def test_every_stage_runs_once_after_those_before_it(world: World) -> None:
    log = simulated(world)
    at = {(event.stage, event.what): number for number, event in enumerate(log)}
    assert len(log) == len(at) == 2 * len(world.stages())
    for stage, before in world.before().items():
        assert at[stage, "start"] < at[stage, "end"]
        assert all(at[earlier, "end"] < at[stage, "start"] for earlier in before)


@given(worlds(limits=False, cancels=False))
@settings(max_examples=150, deadline=None)
def test_no_slot_is_idle_while_somebody_could_use_it_and_the_best_ranked_goes_first(world: World) -> None:
    log, stages, before, ranks = simulated(world), world.stages(), world.before(), world.ranks()
    slots = {device.name: device.slots for device in world.resources.places()}
    arrival = {stage.id: at for graph, at in zip(world.graphs, world.arrivals, strict=True) for stage in graph.stages}
    started, ended, busy = set[str](), set[str](), defaultdict[str, int](int)

    def waiting(now: float) -> list[str]:
        return [
            s
            for s in stages
            if s not in started and before[s] <= ended and (arrival[s] < now or (before[s] and arrival[s] == now))
        ]

    for number, event in enumerate(log):
        if event.what == "end":
            ended.add(event.stage)
            busy[event.device] -= 1
        else:
            passed = [
                s for s in waiting(event.at) if event.device in stages[s].devices and ranks[s] < ranks[event.stage]
            ]
            assert not passed
            started.add(event.stage)
            busy[event.device] += 1
        if number + 1 == len(log) or log[number + 1].at > event.at:  # the moment is over
            for stage in waiting(event.at):
                assert all(busy[device] == slots[device] for device in stages[stage].devices)
    assert started == set(stages)


@given(worlds(limits=False, cancels=False), st.data())
@settings(max_examples=60, deadline=None)
def test_a_stage_that_waits_for_something_else_holds_nobody_back(world: World, data: st.DataObject) -> None:
    """A device on which nothing can start for an hour changes nothing for those who do not need it."""
    blocked = Device("blocked", "endpoint", 1, (Served("small", rpm=1 / 60), Served("large", rpm=1 / 60)))
    assume(world.graphs[0].stages)
    extra = tuple(
        Stage(f"extra {n}", Kind.MODEL, work=Work("small"), devices=("blocked",), priority=9)
        for n in range(data.draw(st.integers(2, 4)))
    )
    first = StageGraph((*extra, *world.graphs[0].stages), world.graphs[0].edges)
    seconds = {**world.seconds, **{(stage.id, "blocked"): 1.0 for stage in extra}}
    more = replace(
        world,
        resources=ResourceModel((*world.resources.devices, blocked)),
        graphs=(first, *world.graphs[1:]),
        seconds=seconds,
    )
    assert [event for event in simulated(more) if event.device != "blocked"] == simulated(world)


@given(graphs("s", NAMES))
@settings(max_examples=100, deadline=None)
def test_a_graph_is_the_same_after_json(graph: StageGraph) -> None:
    assert StageGraph.from_json(graph.to_json()) == graph


@given(devices(True), st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=3, unique=True))
@settings(max_examples=50, deadline=None)
def test_a_resource_model_is_the_same_after_json(made: tuple[Device, ...], pairs: list[tuple[str, str]]) -> None:
    names = {device.name for device in made}
    links = tuple(Link(a, b, 0.1, 1e9) for a, b in pairs if {a, b} <= names)
    model = ResourceModel(made, links)
    assert ResourceModel.from_json(model.to_json()) == model
