"""One call for equal calls."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Call, Compute, Computed, Expr, Plan, SemanticCall
from ...engine.plan.walk import names, transform_up
from ..context import Context
from ..paths import aliases, path
from ..rule import Rule


def common_call(plan: Plan, context: Context) -> Plan | None:
    """A call that asks what a call below it on the same row path has asked becomes a copy of that answer.

    What: equal function, constants, options and inputs (also inputs computed by the same words) → a computed column.
    Why correct: equal calls have equal answers by definition, and the lower one was made for every row that the upper sees:
    it has no guard, or the same guard. Under another guard the copy is NULL where the guard is not TRUE, like the call.
    Wrong for: ``CASE WHEN a THEN LLM_SCORE('x', t) END`` below ``LLM_SCORE('x', t)``: the guarded call left rows unasked.
    """
    del context
    result = transform_up(plan, _visit)
    return None if result == plan else result


def _visit(node: Plan) -> Plan | None:
    if not isinstance(node, Call):
        return None
    available, same = names(node.input), aliases(node.input)
    for lower in path(node.input):
        if isinstance(lower, Call) and lower.call.output.name in available and _covers(lower.call, node.call, same):
            return Compute(node.input, (_copy(lower.call, node.call, same),))
    return None


def _covers(lower: SemanticCall, upper: SemanticCall, same: dict[str, str]) -> bool:
    equal = _resolved(lower, same).same_answer(_resolved(upper, same)) and lower.output.type == upper.output.type
    return equal and (lower.guard is None or _same_guard(lower, upper, same))


def _resolved(call: SemanticCall, same: dict[str, str]) -> SemanticCall:
    cascade = call.cascade and replace(call.cascade, column=same.get(call.cascade.column, call.cascade.column))
    return replace(call, arguments=tuple(same.get(a, a) for a in call.arguments), cascade=cascade)


def _same_guard(lower: SemanticCall, upper: SemanticCall, same: dict[str, str]) -> bool:
    both = lower.guard is not None and upper.guard is not None
    return both and same.get(str(lower.guard), lower.guard) == same.get(str(upper.guard), upper.guard)


def _copy(lower: SemanticCall, upper: SemanticCall, same: dict[str, str]) -> Computed:
    answer = lower.output.name
    if upper.guard is None or _same_guard(lower, upper, same):
        return Computed(upper.output, Expr(answer, frozenset({answer}), lower.output.label))
    text = f"CASE WHEN {upper.guard} THEN {answer} END"
    return Computed(upper.output, Expr(text, frozenset({answer, upper.guard}), upper.output.label))


RULE = Rule("common_call", common_call)
