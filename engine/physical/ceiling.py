"""The most that a query may cost, before it runs: the estimate of EXPLAIN with every doubt decided upwards.

Every row passes every filter and every guard, and every answer is as long as its call allows. What is in the store counts as
if it were not, and re-asks are left out. Of joins and samples, which find out as they go how much they have to ask, it is the
upper end of what is expected: all that they might ask is often a hundred times that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ...optimizer.context import NoStatistics, Statistics
from ...optimizer.cost.estimate import NodeEstimate, Price, estimate
from ...optimizer.cost.figure import Figure
from ...optimizer.cost.sampled import GUARD_SELECTIVITY
from ...udfs.models.base import Generate
from ..dataflow.run import QueryRun
from ..errors import Error
from ..plan.cascade import Cascade
from ..plan.nodes import Call, Condition, Conjunction, Demand, Filter, Plan, Relation, SemanticCall
from ..plan.render import nodes_with_paths
from ..plan.walk import calls, transform_up, walk
from .duck import Duck
from .estimates import calibrations_of, price_of, samples_of
from .first_run_cost import A_MILLION, most_usd
from .model_pool import ModelPool
from .stages import Stages
from .totals import Calibration

BY_PROXY = "_by_proxy"
"""Behind the name of an answer, that of the proxy's."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that a query may cost.

    Parameters
    ----------
    usd : US dollars of what is known.
    unpriced : models whose price is unknown. unmeasured : priced call sites asked nobody knows how often, or how long.
    expected : a join or a sample is in it, which finds out as it goes how much it asks: in nine cases of ten no more.
    """

    usd: float
    unpriced: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    expected: bool = False

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
        >>> str(Ceiling(0.25, expected=True))
        'up to $0.2500, of joins and samples as is to be expected'
        """
        likely = ", of joins and samples as is to be expected" * self.expected
        parts = [f"up to ${self.usd:,.4f}{likely}"] if self.usd or not (self.unpriced or self.unmeasured) else []
        parts += [f"what model {name} costs is unknown" for name in self.unpriced]
        parts += [f"how much {site} will ask is unknown before it runs" for site in self.unmeasured]
        return ", and ".join(parts)


def ceiling(
    duck: Duck, plan: Relation, run: QueryRun, stages: Stages, pool: ModelPool, statistics: Statistics
) -> Ceiling:
    """Estimate upwards; nothing is asked of a model.

    Parameters
    ----------
    run : a query that asks nothing, of the same settings. statistics : what was known when the statement was planned.
    """
    price = price_of(pool)
    # First, because a stage is made once, and only a join's own call has what its blocks are asked by.
    expected = _as_it_goes(duck, plan, stages, price, statistics)
    widest = _unfiltered(plan)
    figures = estimate(
        widest, samples_of(duck, widest, stages, NoStatistics()), price, _Longest(stages, NoStatistics())
    )
    extra = calibrations_of(figures, widest, stages, price)
    usd, unpriced, unmeasured = 0.0, dict[str, None](), dict[str, None]()
    nodes = [(p, n.call) for p, n in nodes_with_paths(widest) if isinstance(n, Call)]
    found = [(call, _least(_money(call, figures.get(p), extra.get(p)), expected, call)) for p, call in nodes]
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
    return Ceiling(usd, tuple(unpriced), tuple(unmeasured), bool(expected))


def _as_it_goes(
    duck: Duck, plan: Relation, stages: Stages, price: Price, statistics: Statistics
) -> Mapping[str, float]:
    """By the name of its answer, what a call of a join or a sample costs at the upper end of what is expected."""
    sampled = [n for n in walk(plan) if isinstance(n, Relation) and n.sampling is not None]
    names = {n.call.output.name for n in calls(plan) if n.call.pairs is not None}
    names |= {n.call.output.name for relation in sampled for n in calls(relation)}
    if not names:
        return {}
    samples = samples_of(duck, plan, stages, statistics)
    figures = estimate(plan, samples, price, _Longest(stages, statistics))
    extra = calibrations_of(figures, plan, stages, price)
    made = [(p, n.call.output.name) for p, n in nodes_with_paths(plan) if isinstance(n, Call)]
    money = {name: (figures[p].money, extra.get(p)) for p, name in made if name in names and p in figures}
    return {name: _high(most) + _before(first) for name, (most, first) in money.items() if most is not None}


def _least(widest: float | None, expected: Mapping[str, float], call: SemanticCall) -> float | None:
    """What is expected, if there is any such call, and it is less than all that it might ask."""
    return widest if widest is None else min(widest, expected.get(call.output.name, widest))


def _high(money: Figure) -> float:
    return money.value if money.high is None else money.high


def _before(calibration: Calibration | None) -> float:
    return (calibration.money or 0.0) if calibration else 0.0


def _money(call: SemanticCall, figure: NodeEstimate | None, calibration: Calibration | None) -> float | None:
    if figure is None or figure.money is None:
        return None
    return figure.money.value / (GUARD_SELECTIVITY if call.guard is not None else 1.0) + _before(calibration)


def _unfiltered(plan: Relation) -> Plan:
    """The plan without filters above calls; a LIMIT above one counts for nothing, for it may have to read all rows, and every
    part of a condition is asked about all."""

    def visit(node: Plan) -> Plan | None:
        if (isinstance(node, Filter) and calls(node.input)) or isinstance(node, Condition | Conjunction):
            return node.input
        if isinstance(node, Relation) and node.sampling is not None:
            return replace(node, sampling=None)
        if isinstance(node, Call) and node.call.pairs is not None:
            return replace(node, call=replace(node.call, pairs=None))
        if isinstance(node, Call) and node.call.cascade is not None:
            return _asked_twice(node, node.call.cascade)
        if isinstance(node, Demand) and any(isinstance(n, Filter) and calls(n.input) for n in walk(plan)):
            return node.input
        return None

    return transform_up(plan, visit)


def _asked_twice(node: Call, cascade: Cascade) -> Call:
    """A call under a guarantee may be asked of its own model for all rows, and of a model that is its proxy."""
    own = replace(node, call=replace(node.call, cascade=None))
    if cascade.proxy != "model" or not cascade.name:
        return own
    output = replace(node.call.output, name=f"{node.call.output.name}{BY_PROXY}")
    options = {**node.call.options, "model": cascade.name}
    return Call(own, replace(node.call, cascade=None, output=output, options=options))


def _embedded(plan: Plan) -> Iterator[SemanticCall]:
    for node in walk(plan):
        if isinstance(node, Relation):
            yield from node.embedded


@dataclass(frozen=True, slots=True)
class _Longest(NoStatistics):
    """Answers are as long as they may be; of the rest is known what ``statistics`` say."""

    stages: Stages
    statistics: Statistics

    def selectivity(self, call: SemanticCall, below: Plan | None = None) -> Figure | None:
        """As it was learnt."""
        return self.statistics.selectivity(call, below)

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
