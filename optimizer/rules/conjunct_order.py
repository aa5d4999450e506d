"""Of two questions about the same inputs, the one that leaves fewer rows for its tokens comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...engine.plan.nodes import Call, Compute, Filter, Plan, SemanticCall
from ...engine.plan.walk import names, reads, transform_up
from ...udfs.functions import functions
from ..context import Context
from ..cost.estimate import TOKENS_OUT
from ..expressions import may_fail, movable
from ..paths import aliases, types
from ..rule import Rule

SURELY = 0.95
"""What is learnt moves a little with every query; an order that follows each move would ask what no cache has seen."""
CHARACTERS_A_TOKEN = 4.0
ANSWER = "answer and instruction"


def conjunct_order(plan: Plan, context: Context) -> Plan | None:
    """Neighbouring filters that are nothing but a call's answer change places where the upper one is surely the better first.

    What: ``WHERE LLM_FILTER('p', t) AND LLM_FILTER('q', t)``: by tokens ÷ (1 − share of TRUE), with shares that earlier queries
    taught. How long the inputs are is not known here. So p goes first only if that is better however long they are: it reads
    no input that q does not read, and is better by 5 % in the tokens of each. Nothing learnt, nothing moved.
    Where the answers of one order are in the cache, that order stays: what a query taught would otherwise make the same query ask
    what its first run was spared.
    Why correct: filters commute, an answer depends on its row alone, and what is moved cannot fail and reads nothing of the other.
    Wrong for: ``on_error := 'fail'``, where the rows that are asked decide whether the query fails, and
    ``LLM_FILTER('p', t) AND LLM_FILTER('q', LLM_COMPLETE('…', t))`` if q moved without what it reads; both stay.
    """

    def visit(node: Plan) -> Plan | None:
        same = aliases(node)
        upper = _conjunct(node, context, same)
        lower = None if upper is None else _conjunct(upper.base, context, same)
        if upper is None or lower is None or not _free(upper, lower) or not _better(upper, lower, context):
            return None
        # What is below has been put in order; the filter that comes down may go on.
        base = upper.on(lower.base)
        return lower.on(visit(base) or base)

    result = transform_up(plan, visit)
    return None if result == plan else result


@dataclass(frozen=True, slots=True)
class _Conjunct:
    """A filter that is a call's answer, the call, and what is computed for it. ``base`` : what it stands on.

    ``cost`` : tokens per row that it removes: of what is known, and how often each input's, whose length is not.
    """

    filter: Filter
    call: Call
    computes: tuple[Compute, ...]
    base: Plan
    cost: dict[str, float]

    def on(self, plan: Plan) -> Filter:
        """The same on something else."""
        for compute in reversed(self.computes):
            plan = replace(compute, input=plan)
        return replace(self.filter, input=replace(self.call, input=plan))


def _conjunct(node: Plan, context: Context, same: Mapping[str, str]) -> _Conjunct | None:
    """``None``: it is none, nothing is known of it, or it may not move. ``same`` : see ``aliases``."""
    if not isinstance(node, Filter) or not isinstance(node.input, Call):
        return None
    call = node.input.call
    share = context.statistics.selectivity(call)
    if share is None or node.predicate.sql != call.output.name or not _plain(call, context):
        return None
    computes, base = [], node.input.input
    while isinstance(base, Compute):
        computes.append(base)
        base = base.input
    if not all(_harmless(compute) for compute in computes):
        return None
    removed = max(1 - share.value, 1e-9)
    cost = {place: tokens / removed for place, tokens in _tokens(call, context, same).items()}
    return _Conjunct(node, node.input, tuple(computes), base, cost)


def _plain(call: SemanticCall, context: Context) -> bool:
    """Whether each row has a prompt of its own, and a failed row is NULL and no more."""
    on_error = call.options.get("on_error") or context.settings.llm_on_error
    alone = call.options.get("batch_rows", 1) == 1 and call.guard is None
    function = functions().get(call.function)
    return alone and on_error != "fail" and function is not None and function.kind == "scalar"


def _harmless(compute: Compute) -> bool:
    known = types(compute.input)
    return all(movable(c.expr) and not may_fail(c.expr, known) for c in compute.columns)


def _tokens(call: SemanticCall, context: Context, same: Mapping[str, str]) -> dict[str, float]:
    learnt = context.statistics.tokens_out(call)
    out = TOKENS_OUT.get(call.function, 1.0) if learnt is None else learnt.value
    words = sum(len(constant) for constant in call.constants if isinstance(constant, str))
    return {ANSWER: out + words / CHARACTERS_A_TOKEN, **Counter(same.get(a, a) for a in call.arguments)}


def _better(upper: _Conjunct, lower: _Conjunct, context: Context) -> bool:
    """Whether the upper one shall go first."""
    asked = context.statistics.asked
    second, first = asked(upper.call.call, upper.base), asked(lower.call.call, upper.on(lower.base))
    return first if first != second else _surely_first(upper, lower)


def _surely_first(upper: _Conjunct, lower: _Conjunct) -> bool:
    """Whether it costs less for what it removes, however long the inputs are."""
    same_model = upper.call.call.options.get("model") == lower.call.call.options.get("model")
    less = all(cost <= SURELY * lower.cost.get(place, 0.0) for place, cost in upper.cost.items() if cost)
    return same_model and less


def _free(upper: _Conjunct, lower: _Conjunct) -> bool:
    """Whether the upper one reads nothing that is made by the lower."""
    own = frozenset(c.column.name for compute in upper.computes for c in compute.columns)
    read = reads(upper.call).union(*(reads(compute) for compute in upper.computes))
    return read - own <= names(lower.base)


RULE = Rule("conjunct_order", conjunct_order)
