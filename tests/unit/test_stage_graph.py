"""Stage graphs are checked when they are made, and plans become them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from anserdb.engine.dataflow.stage_graph import Edge, Kind, Stage, StageGraph, Work
from anserdb.engine.errors import ProgrammingError
from anserdb.engine.physical.plan_graph import stage_graph
from anserdb.engine.plan.nodes import Column, Relation, SemanticCall
from anserdb.engine.plan.render import nodes_with_paths
from anserdb.engine.settings import Settings
from anserdb.optimizer.context import Context
from anserdb.optimizer.cost.estimate import NodeEstimate
from anserdb.optimizer.cost.figure import Figure
from anserdb.optimizer.pipeline import optimize
from tests.support.plans import database, naive_plan

A, B, C = (Stage(name, Kind.MODEL) for name in "abc")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StageGraph((A, A)), "Two stages have the id a."),
        (lambda: StageGraph((A,), (Edge("a", "z"),)), "Edge a → z: there is no stage z."),
        (lambda: StageGraph((A, B), (Edge("a", "b", -1),)), "Edge a → b has -1 bytes."),
        (lambda: StageGraph((A, B, C), (Edge("a", "b"), Edge("b", "c"), Edge("c", "b"))), "in a circle, or for one: b, c."),
        (lambda: StageGraph((A,), (Edge("a", "a"),)), "in a circle"),
        (lambda: StageGraph((Stage("a", Kind.REL, work=Work("rows", float("nan"))),)), "Stage a has work that makes no"),
        (lambda: StageGraph((Stage("a", Kind.REL, work=Work("rows", memory=-1)),)), "Stage a has work that makes no"),
        (lambda: StageGraph((Stage("a", Kind.REL, stage_class="urgent"),)), "there are interactive and batch"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_no_graph_is_refused_with_the_place(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ProgrammingError, match=words.replace(".", r"\.")):
        make()


def test_json_is_checked_again() -> None:
    document = json.loads(StageGraph((A, B), (Edge("a", "b"),)).to_json())
    document["edges"].append({"src": "b", "dst": "a", "bytes": None})
    with pytest.raises(ProgrammingError, match="circle"):
        StageGraph.from_json(json.dumps(document))


def test_depth_is_the_longest_way() -> None:
    graph = StageGraph((A, B, C), (Edge("a", "c"), Edge("a", "b"), Edge("b", "c"), Edge("b", "c")))
    assert graph.depths() == {"a": 0, "b": 1, "c": 2}
    assert graph.successors() == {"a": ("c", "b"), "b": ("c",), "c": ()}


# --- of plans -------------------------------------------------------------------------------------------------------

TWO_CALLS = "SELECT LLM_COMPLETE('reply', body) AS r FROM tickets WHERE LLM_FILTER('is it angry?', body) AND id > 3"


def graph_of(sql: str, figures: bool = False) -> StageGraph:
    with database() as connection:
        plan = optimize(naive_plan(sql, connection), Context(Settings())).plan
    if not figures:
        return stage_graph(plan)
    rows = Figure(40.0, "sample")
    return stage_graph(
        plan, {path: NodeEstimate(rows, rows, calls=Figure(7.0, "prior")) for path, _ in nodes_with_paths(plan)}
    )


def shape(graph: StageGraph) -> list[str]:
    return [stage.label if stage.kind is Kind.MODEL else "REL" for stage in graph.stages]


def test_calls_in_a_row_are_deeper_the_later_they_are_asked() -> None:
    graph = graph_of(TWO_CALLS)
    assert shape(graph) == ["REL", "1:LLM_FILTER", "REL", "2:LLM_COMPLETE", "REL"]
    assert list(graph.depths().values()) == [0, 1, 2, 3, 4]
    assert [(edge.src, edge.dst) for edge in graph.edges] == [
        (a.id, b.id) for a, b in zip(graph.stages, graph.stages[1:], strict=False)
    ]


def test_a_plan_that_is_read_twice_is_made_twice() -> None:
    once = "SELECT id, LLM_COMPLETE('reply', body) AS x FROM tickets"
    graph = graph_of(f"{once} UNION ALL {once}")
    models = [stage.id for stage in graph.stages if stage.kind is Kind.MODEL]
    assert models[:2] == ["1:LLM_COMPLETE", "1:LLM_COMPLETE#2"]
    assert {stage.label for stage in graph.stages if stage.kind is Kind.MODEL} == {"1:LLM_COMPLETE"}


def test_estimates_are_the_units_of_work() -> None:
    known = {stage.work for stage in graph_of(TWO_CALLS, figures=True).stages}
    assert known == {Work("rows", 40.0), Work("small", 7.0)}
    assert {stage.work.units for stage in graph_of(TWO_CALLS).stages} == {None}


def test_calls_that_stay_in_the_text_come_before_it() -> None:
    call = SemanticCall(
        "1:F", "F", (), (), (), (), {"model": "small"}, guard=None, output=Column("__s1", "VARCHAR", "f(x)")
    )
    graph = stage_graph(Relation("SELECT …", (), (), embedded=(call,)))
    assert shape(graph) == ["1:F", "REL"]
    assert [(edge.src, edge.dst) for edge in graph.edges] == [("1:F", graph.stages[1].id)]
