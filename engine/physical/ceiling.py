"""The most that a query may cost, before it runs: the estimate of EXPLAIN with every doubt decided upwards.

Every row passes every filter and every guard, and every answer is as long as its call allows. What is in the store counts as
if it were not, and re-asks are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...optimizer.context import NoStatistics
from ...optimizer.cost.estimate import GUARD_SELECTIVITY, NodeEstimate, estimate
from ...optimizer.cost.figure import Figure
from ...udfs.models.base import Generate
from ..dataflow.run import QueryRun
from ..errors import Error
from ..plan.nodes import Call, Demand, Filter, Plan, Relation, SemanticCall
from ..plan.render import nodes_with_paths
from ..plan.walk import calls, transform_up, walk
from .duck import Duck
from .estimates import calibrations_of, price_of, samples_of
from .first_run_cost import A_MILLION, most_usd
from .model_pool import ModelPool
from .stages import Stages
from .totals import Calibration


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that a query may cost.

    Parameters
    ----------
    usd : US dollars of what is known.
    unpriced : models whose price is unknown. unmeasured : priced call sites asked nobody knows how often, or how long.
    """

    usd: float
    unpriced: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    def above(self, limit_usd: float) -> bool:
        """Whether it may cost more; what is unknown may.

        >>> Ceiling(0.5).above(1.0), Ceiling(0.0, unpriced=("gpt-x",)).above(1.0)
        (False, True)
        """
        return self.usd > limit_usd or bool(self.unpriced or self.unmeasured)

    def __str__(self) -> str:
        """In words.

        >>> str(Ceiling(0.25, unpriced=("gpt-x",)))
        'up to $0.2500, and what model gpt-x costs is unknown'
        """
        parts = [f"up to ${self.usd:,.4f}"] if self.usd or not (self.unpriced or self.unmeasured) else []
        parts += [f"what model {name} costs is unknown" for name in self.unpriced]
        parts += [f"how much {site} will ask is unknown before it runs" for site in self.unmeasured]
        return ", and ".join(parts)


def ceiling(duck: Duck, plan: Relation, run: QueryRun, stages: Stages, pool: ModelPool) -> Ceiling:
    """Estimate upwards; nothing is asked of a model.

    Parameters
    ----------
    run : a query that asks nothing, of the same settings.
    """
    widest = _unfiltered(plan)
    price = price_of(pool)
    figures = estimate(widest, samples_of(duck, widest, stages), price, _Longest(stages))
    extra = calibrations_of(figures, widest, stages, price)
    usd, unpriced, unmeasured = 0.0, dict[str, None](), dict[str, None]()
    nodes = [(p, n.call) for p, n in nodes_with_paths(widest) if isinstance(n, Call)]
    found = [(call, _money(call, figures.get(p), extra.get(p))) for p, call in nodes]
    known = most_usd(duck, plan, run, stages, price)
    found += [(call, known.get(call.output.name)) for call in _embedded(widest)]
    for call, money in found:
        model = str(call.options["model"])
        if money is not None:
            usd += money
        elif (most := price(model, A_MILLION, A_MILLION)) is None:
            unpriced[model] = None
        elif most > 0:
            unmeasured[call.site] = None
    return Ceiling(usd, tuple(unpriced), tuple(unmeasured))


def _money(call: SemanticCall, figure: NodeEstimate | None, calibration: Calibration | None) -> float | None:
    if figure is None or figure.money is None:
        return None
    preparing = (calibration.money or 0.0) if calibration else 0.0
    return figure.money.value / (GUARD_SELECTIVITY if call.guard is not None else 1.0) + preparing


def _unfiltered(plan: Relation) -> Plan:
    """The plan without filters above calls; a LIMIT above one counts for nothing, for it may have to read all rows."""

    def visit(node: Plan) -> Plan | None:
        if isinstance(node, Filter) and calls(node.input):
            return node.input
        if isinstance(node, Demand) and any(isinstance(n, Filter) and calls(n.input) for n in walk(plan)):
            return node.input
        return None

    return transform_up(plan, visit)


def _embedded(plan: Plan) -> Iterator[SemanticCall]:
    for node in walk(plan):
        if isinstance(node, Relation):
            yield from node.embedded


@dataclass(frozen=True, slots=True)
class _Longest(NoStatistics):
    """Answers are as long as they may be."""

    stages: Stages

    def tokens_out(self, call: SemanticCall) -> Figure | None:
        """What the call's own requests allow; ``None``: none can be made without a row."""
        stage = self.stages.stage(call)
        first = [["x"]] if stage.aggregate else ["x"]
        try:
            requests = stage.task.requests((first + ["x"] * len(call.arguments))[: len(call.arguments)])
        except (Error, ValueError, TypeError, AttributeError, LookupError):
            return None
        most = sum(request.max_tokens for request in requests if isinstance(request, Generate))
        return Figure(float(most), "max_tokens")
