"""A plan as a graph of stages: the calls of each call site, and the relational fragments between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...optimizer.cost.estimate import NodeEstimate
from ...optimizer.cost.figure import Figure
from ..dataflow.stage_graph import Edge, Kind, Stage, StageGraph, Work
from ..plan.nodes import Call, Plan, Relation, SemanticCall
from ..plan.render import Path
from ..plan.walk import children

DUCKDB = "duckdb"
"""The device of relational fragments."""


def stage_graph(plan: Plan, figures: Mapping[Path, NodeEstimate] | None = None) -> StageGraph:
    """The stages of a plan, the deepest last.

    Parameters
    ----------
    figures : what the optimizer expects, by a node's path: rows of a fragment, calls of a call site.

    Returns
    -------
    MODEL stages labelled with their call site, whose device is the model's name in the catalogue, and REL stages between.
    """
    stages = _Stages(figures or {})
    stages.top(plan)
    return StageGraph(tuple(stages.made), tuple(Edge(src, dst) for src, dst in stages.edges))


class _Stages:
    def __init__(self, figures: Mapping[Path, NodeEstimate]) -> None:
        self.made: list[Stage] = []
        self.edges: dict[tuple[str, str], None] = {}
        self._figures = figures

    def top(self, plan: Plan, at: Path = ()) -> str:
        """The stage that yields the plan's rows."""
        figures = self._figures.get(at)
        if isinstance(plan, Call):
            below = self.top(plan.input, (*at, 0))
            return self._model(plan.call, [below], None if figures is None else _value(figures.calls))
        below_it, embedded = self._fragment(plan, at)
        asked = [self._model(call, below_it, None) for call in embedded]
        work = Work("rows", None if figures is None else _value(figures.rows_out))
        stage = Stage(f"fragment {len(self.made) + 1}", Kind.REL, type(plan).__name__, work, (DUCKDB,))
        return self._add(stage, [*below_it, *asked])

    def _fragment(self, plan: Plan, at: Path) -> tuple[list[str], list[SemanticCall]]:
        """Down to the nearest calls: the stages below, and the calls that stay in the text."""
        if isinstance(plan, Call):
            return [self.top(plan, at)], []
        embedded = list(plan.embedded) if isinstance(plan, Relation) else []
        below: list[str] = []
        for index, child in enumerate(children(plan)):
            stages, calls = self._fragment(child, (*at, index))
            below += stages
            embedded += calls
        return below, embedded

    def _model(self, call: SemanticCall, below: Iterable[str], calls: float | None) -> str:
        # A plan that is read twice is made twice.
        times = sum(stage.label == call.site for stage in self.made)
        name, model = f"{call.site}#{times + 1}" if times else call.site, str(call.options["model"])
        stage = Stage(name, Kind.MODEL, call.site, Work(model, calls), (model,), splittable=True)
        return self._add(stage, below)

    def _add(self, stage: Stage, below: Iterable[str]) -> str:
        self.made.append(stage)
        self.edges.update(dict.fromkeys((src, stage.id) for src in below))
        return stage.id


def _value(measured: Figure | None) -> float | None:
    return None if measured is None else measured.value
