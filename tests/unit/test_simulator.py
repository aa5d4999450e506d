"""Simulated time: what the dispatcher would do, and how long it would take."""

from __future__ import annotations

import pytest

from anserdb.engine.dataflow.graph_run import Event
from anserdb.engine.dataflow.resources import Device, Link, ResourceModel, Served, Service
from anserdb.engine.dataflow.simulator import Simulator, makespan
from anserdb.engine.dataflow.stage_graph import Edge, Kind, Stage, StageGraph, Work

USUAL = Service(0.05)


def endpoint(slots: int, service: Service = USUAL, **more: object) -> Device:
    return Device("api", "endpoint", slots, (Served("m", service, **more),))  # type: ignore[arg-type]


def calls(count: int, units: float | None = None, name: str = "s") -> StageGraph:
    return StageGraph(
        tuple(Stage(f"{name}{n}", Kind.MODEL, work=Work("m", units), devices=("api",)) for n in range(count))
    )


def simulate(graph: StageGraph, *devices: Device, links: tuple[Link, ...] = (), seed: int = 0) -> list[Event]:
    simulator = Simulator(ResourceModel(devices, links), seed=seed)
    run = simulator.add(graph)
    simulator.run()
    return run.events


def test_five_thousand_calls_of_50_ms_at_cap_256_take_twenty_rounds() -> None:
    events = simulate(calls(5000), endpoint(256))
    assert makespan(events) == pytest.approx(20 * 0.05)  # 5,000 / 256 = 19.5, and nobody starts half a round
    assert len(events) == 10_000


def test_service_times_grow_with_units_and_with_the_crowd() -> None:
    device = Device("api", "endpoint", 4, (Served("m", Service(0.1, 0.01)),), batch=((1, 1.0), (4, 2.5)))
    assert makespan(simulate(calls(1, units=40), device)) == pytest.approx(0.5)
    events = simulate(calls(4, units=40), device)
    assert makespan(events) == pytest.approx(0.5 * 2.5)  # the fourth to start found three there


def test_jitter_is_drawn_anew_by_seed_and_only_by_it() -> None:
    noisy = endpoint(8, Service(0.05, jitter=0.5))
    spans = [makespan(simulate(calls(200), noisy, seed=seed)) for seed in (1, 1, 2)]
    assert spans[0] == spans[1] != spans[2]
    assert spans[0] == pytest.approx(200 * 0.05 / 8, rel=0.25)


def test_a_rate_bounds_the_makespan() -> None:
    events = simulate(calls(10), endpoint(256, rpm=60))
    assert makespan(events) == pytest.approx(9 + 0.05)


def test_bytes_take_their_time_on_a_link() -> None:
    stages = (
        Stage("read", Kind.REL, work=Work("rows", 100), devices=("duckdb",)),
        Stage("send", Kind.XFER, work=Work("bytes", 1000), devices=("duckdb→gpu",)),
        Stage("multiply", Kind.TENSOR, work=Work("flops", 4), devices=("gpu",)),
    )
    graph = StageGraph(stages, (Edge("read", "send", 1000), Edge("send", "multiply", 1000)))
    events = simulate(
        graph,
        Device("duckdb", "cpu", 2, (Served("rows", Service(0, 0.01)),)),
        Device("gpu", "gpu", 1, (Served("flops", Service(0, 0.5)),)),
        links=(Link("duckdb", "gpu", 0.25, 2000.0),),
    )
    assert [(event.stage, event.at) for event in events if event.what == "end"] == [
        ("read", pytest.approx(1.0)), ("send", pytest.approx(1.75)), ("multiply", pytest.approx(3.75)),
    ]  # fmt: skip


def test_the_first_result_comes_early_when_the_deepest_stages_go_first() -> None:
    """Two stages over 40 rows, four at a time: a row that is nearly done goes before a row that has yet to begin."""

    def rows(second: int) -> StageGraph:
        """Pairs of stages; ``second`` is the priority of the second ones."""
        stages = tuple(
            Stage(f"{kind}{n}", Kind.MODEL, work=Work("m"), devices=("api",), priority=priority)
            for kind, priority in (("a", 0), ("b", second))
            for n in range(40)
        )
        return StageGraph(stages, tuple(Edge(f"a{n}", f"b{n}") for n in range(40)))

    firsts = {}
    for second in (0, -1):
        events = simulate(rows(second), endpoint(4, Service(1.0)))
        firsts[second] = min(event.at for event in events if event.what == "end" and event.stage.startswith("b"))
        assert makespan(events) == pytest.approx(20.0)
    assert firsts == {0: pytest.approx(2.0), -1: pytest.approx(11.0)}  # by depth; stage by stage


def test_a_query_that_comes_later_waits_for_an_older_one_of_the_same_depth() -> None:
    simulator = Simulator(ResourceModel((endpoint(1, Service(1.0)),)))
    old, young = simulator.add(calls(3, name="old")), simulator.add(calls(1, name="young"), at=0.5)
    simulator.run()
    assert [event.at for event in young.events] == [3.0, 4.0]
    assert old.error is young.error is None


def test_a_cancelled_query_frees_what_it_held() -> None:
    simulator = Simulator(ResourceModel((endpoint(1, Service(4.0)),)))
    first, second = simulator.add(calls(3, name="a")), simulator.add(calls(1, name="b"))
    simulator.clock.call_at(1.0, first.cancel)
    simulator.run()
    assert [(event.stage, event.what, event.at) for event in first.events] == [("a0", "start", 0.0), ("a0", "end", 1.0)]
    assert [event.at for event in second.events] == [1.0, 5.0]
