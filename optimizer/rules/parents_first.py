"""Semantic filters on rows before these become many."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Call, Compute, Expr, Filter, Plan, Unnest
from ...engine.plan.walk import names, reads, transform_up, with_children
from ..context import Context
from ..expressions import may_fail, movable
from ..paths import answers, types
from ..rule import Rule

Step = Call | Compute | Filter


def parents_first(plan: Plan, context: Context) -> Plan | None:
    """A semantic filter that reads nothing of a call's rows goes below that call, with the calls it needs.

    What: ``FROM docs d, LATERAL LLM_SPLIT(d.body, …) s WHERE LLM_FILTER('…', d.body)``: the filter is asked of documents, and
    only those it keeps are split. (Plain filters go there by relational_first.)
    Why correct: what it reads is the same for all rows that a row becomes, so it keeps or drops them together.
    Wrong for: ``LLM_FILTER('…', d.body || random())``, drawn once a part; and for a filter that may fail, which below would
    meet rows that become none. Nor for a call under a guarantee, which is of as many rows as it is asked about.
    """
    del context
    before, result = plan, transform_up(plan, _visit)
    while result != before:  # one list lower each time
        before, result = result, transform_up(result, _visit)
    return None if result == plan else result


def _visit(node: Plan) -> Plan | None:
    if not isinstance(node, Filter) or not node.predicate.uses & answers(node.input):
        return None
    needed: list[Step] = [node]
    others: list[Step] = []
    reading, below = reads(node), node.input
    while isinstance(below, Call | Compute | Filter):
        makes = bool((names(below) - names(below.input)) & reading)
        reading |= reads(below) if makes else frozenset()
        (needed if makes else others).append(below)
        below = below.input
    if not isinstance(below, Unnest) or _guaranteed(needed) or not _may_pass(needed, reading, below):
        return None
    lowered = replace(below, input=_under_call(below, needed))
    return _stacked(others, lowered)


def _guaranteed(steps: list[Step]) -> bool:
    """Whether something is promised of an answer: it is of the rows where the call stands, and there are others below."""
    return any(isinstance(step, Call) and step.call.cascade is not None for step in steps)


def _may_pass(steps: list[Step], reading: frozenset[str], unnest: Unnest) -> bool:
    made = frozenset[str]().union(*(names(step) - names(step.input) for step in steps))
    exprs = [expr for step in steps for expr in _expressions(step)]
    fails = not unnest.keep_empty and any(may_fail(expr, types(steps[0])) for expr in exprs)
    return reading - made <= names(unnest.input) and all(map(movable, exprs)) and not fails


def _expressions(step: Step) -> list[Expr]:
    match step:
        case Compute():
            return [computed.expr for computed in step.columns]
        case Filter():
            return [step.predicate]
        case Call():
            return []


def _under_call(unnest: Unnest, steps: list[Step]) -> Plan:
    """The steps below the call whose rows these are, if what they read is there."""
    call = unnest.input
    made = frozenset[str]().union(*(names(step) - names(step.input) for step in steps))
    reading = frozenset[str]().union(*map(reads, steps)) - made
    if isinstance(call, Call) and reading <= names(call.input):
        return replace(call, input=_stacked(steps, call.input))
    return _stacked(steps, call)


def _stacked(steps: list[Step], plan: Plan) -> Plan:
    for step in reversed(steps):
        plan = with_children(step, (plan,))
    return plan


RULE = Rule("parents_first", parents_first)
