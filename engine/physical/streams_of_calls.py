"""The calls that one stream of rows meets, as sites of the search: who keeps which share of rows, and who needs whose answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...optimizer.cost.estimate import NodeEstimate
from ...optimizer.cost.figure import Figure
from ...optimizer.search.memo import Site
from ..plan.nodes import Call, Compute, Demand, Filter, Plan, Relation, SemanticCall, Sort, Unnest
from ..plan.render import Path, nodes_with_paths


@dataclass(frozen=True, slots=True)
class Least:
    """How many questions a call puts, ``likely`` and at ``least`` (0: nobody knows)."""

    function: str
    likely: float
    questions: float


def share(figure: Figure | None) -> float:
    """The lower end of a figure over its value; 0 where there is none."""
    return 0.0 if figure is None or figure.low is None or not figure.value else figure.low / figure.value


@dataclass(frozen=True, slots=True)
class Stream:
    """A chain of calls.

    Parameters
    ----------
    rows : that enter it. bottom : where they come from. calls, sites : in the order in which rows meet them; sites without arms.
    least : by call, how many questions it puts.
    """

    rows: Figure
    bottom: Path
    calls: tuple[SemanticCall, ...]
    sites: tuple[Site, ...]
    least: Mapping[str, Least]


def stream_of(plan: Relation, figures: Mapping[Path, NodeEstimate]) -> Stream | str:
    """The stream of a plan, or why there is none.

    Parameters
    ----------
    figures : what is expected of every node.
    """
    paths = [path for path, node in nodes_with_paths(plan) if isinstance(node, Call)]
    if not paths:
        return "no call of the query is outside its text"
    lowest = max(paths, key=len)
    if any(lowest[: len(path)] != path for path in paths):
        return "its calls are in several parts of the query, and plans of one stream of rows are searched"
    bottom = (*lowest, 0)
    chain = [(path, node) for path, node in nodes_with_paths(plan) if lowest[: len(path)] == path]
    entering = figures[bottom].rows_out if bottom in figures else None
    if entering is None:
        return "how many rows there are is not known before it runs"
    walker = _Walker(figures, entering.value)
    for path, node in reversed(chain):
        if problem := walker.see(path, node):
            return problem
    sites = tuple(
        Site(call.site, (), walker.keeps[call.site], walker.asked[call.site], walker.needs[call.site])
        for call in walker.calls
    )
    return Stream(entering, bottom, tuple(walker.calls), sites, walker.least)


class _Walker:
    """Goes up a chain from its lowest call."""

    def __init__(self, figures: Mapping[Path, NodeEstimate], rows: float) -> None:
        self.calls: list[SemanticCall] = []
        self.keeps: dict[str, float] = {}
        self.asked: dict[str, float] = {}
        self.needs: dict[str, frozenset[str]] = {}
        self.least: dict[str, Least] = {}
        self._figures, self._reach = figures, rows
        self._behind: frozenset[str] = frozenset()
        self._from: dict[str, frozenset[str]] = {}

    def see(self, path: Path, node: Plan) -> str:
        """One node more; why it cannot be, or ``""``."""
        figure = self._figures.get(path)
        if isinstance(node, Call):
            return self._call(node.call, figure)
        if isinstance(node, Compute):
            for column in node.columns:
                self._from[column.column.name] = self._sites(column.expr.uses)
        elif isinstance(node, Filter):
            self._kept(figure, self._sites(node.predicate.uses))
        elif isinstance(node, Unnest | Sort | Demand | Relation):
            # Nothing that stands above may be done before what stands below.
            self._kept(figure, frozenset())
            self._behind = frozenset(self.keeps)
            if isinstance(node, Unnest):
                self._from |= dict.fromkeys((c.name for c in node.outputs), self._sites(frozenset({node.column})))
        return ""

    def _call(self, call: SemanticCall, figure: NodeEstimate | None) -> str:
        if figure is None or figure.calls is None:
            return f"how often {call.site} asks is not known before it runs"
        if call.site in self.keeps:
            return f"two of its calls are {call.site}, in different subqueries"
        if call.top_k is not None:
            return f"{call.site} ranks its rows, and does not answer them one by one"
        if call.cascade is not None:
            return f"how many rows of {call.site} need its own model is found out as its guarantee is proved"
        rows_a_call = call.options.get("batch_rows", 1)
        questions = figure.calls.value * (rows_a_call if isinstance(rows_a_call, int) else 1)
        self.least[call.site] = Least(call.function, questions, questions * share(figure.calls))
        self.asked[call.site] = questions / self._reach if self._reach else 1.0
        read = frozenset((*call.arguments, *((call.guard,) if call.guard else ())))
        self.needs[call.site] = self._behind | self._sites(read)
        self.keeps[call.site] = 1.0
        self.calls.append(call)
        self._from[call.output.name] = frozenset({call.site})
        return ""

    def _sites(self, columns: frozenset[str]) -> frozenset[str]:
        return frozenset().union(*(self._from.get(name, frozenset()) for name in columns))

    def _kept(self, figure: NodeEstimate | None, read: frozenset[str]) -> None:
        """A share of rows goes on: the last call that was read for it has decided so, else the last call at all."""
        if (
            figure is None
            or figure.rows_in is None
            or figure.rows_out is None
            or not figure.rows_in.value
            or not self.calls
        ):
            return
        share = figure.rows_out.value / figure.rows_in.value
        owner = next((call.site for call in reversed(self.calls) if call.site in read), self.calls[-1].site)
        self.keeps[owner] *= share
        self._reach *= share
