"""Relational predicates before semantic ones."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Call, Compute, Computed, Expr, Filter, Keep, Plan, Unnest
from ...engine.plan.walk import calls, children, names, transform_up, with_children
from ..context import Context
from ..expressions import has_subquery, may_fail, movable
from ..paths import answers, path, types
from ..rule import Rule


def relational_first(plan: Plan, context: Context) -> Plan | None:
    """Filters that read no answer move below calls and semantic filters, with the computed columns they need.

    What: a filter sinks as far as its columns exist. One that may fail (a cast) does not pass a semantic filter or a list
    that is unnested, since that may have removed the rows it fails on; instead a copy that lets failing rows through goes below.
    Why correct: filters of one block commute, a call never changes other columns, and a failing row still meets its filter.
    Wrong for: ``WHERE LLM_FILTER('a number', x) AND x::INTEGER > 5`` if the cast itself moved, and
    ``… AND random() < 0.1``; filters with volatile or unknown functions stay where they are.
    """
    del context
    result = transform_up(plan, _visit)
    return None if result == plan else result


def _visit(node: Plan) -> Plan | None:
    if not isinstance(node, Filter) or node.predicate.uses & answers(node.input) or not movable(node.predicate):
        return None
    fails = may_fail(node.predicate, types(node.input))
    sunk = _sink(node.predicate, node.input, past_filters=not fails)
    return _with_lenient_copy(sunk) if fails else sunk


def _sink(predicate: Expr, plan: Plan, past_filters: bool) -> Plan:
    """``plan`` with the filter put in as low as it may go."""
    match plan:
        case Call() | Keep() if predicate.uses <= names(plan.input):
            return replace(plan, input=_sink(predicate, plan.input, past_filters))
        case Unnest() if predicate.uses <= names(plan.input) and (past_filters or plan.keep_empty):
            return replace(plan, input=_sink(predicate, plan.input, past_filters))
        case Filter() if past_filters:
            below = _sink(predicate, plan.input, past_filters)
            # Passing filters alone gains nothing and would undo the user's order.
            return Filter(plan, predicate) if below == Filter(plan.input, predicate) else replace(plan, input=below)
        case Compute() if predicate.uses <= names(plan.input):
            return replace(plan, input=_sink(predicate, plan.input, past_filters))
        case Compute():
            lowered = _lower_columns(predicate, plan)
            return Filter(plan, predicate) if lowered is None else _sink(predicate, lowered, past_filters)
        case _:
            return Filter(plan, predicate)


def _lower_columns(predicate: Expr, plan: Compute) -> Plan | None:
    """The computed columns that ``predicate`` reads, moved below the calls under ``plan``; ``None`` if they cannot."""
    needed = tuple(c for c in plan.columns if c.column.name in predicate.uses)
    if not all(movable(c.expr) for c in needed):
        return None
    below = _sink_columns(needed, plan.input)
    if isinstance(below, Compute) and below.columns == needed:
        return None
    rest = tuple(c for c in plan.columns if c not in needed)
    return replace(plan, input=below, columns=rest) if rest else below


def _sink_columns(needed: tuple[Computed, ...], plan: Plan) -> Plan:
    uses = frozenset[str]().union(*(c.expr.uses for c in needed))
    match plan:
        case Call() if uses <= names(plan.input):
            return replace(plan, input=_sink_columns(needed, plan.input))
        case Filter() if plan.predicate.uses & answers(plan.input) and not any(
            may_fail(c.expr, types(plan)) for c in needed
        ):
            return replace(plan, input=_sink_columns(needed, plan.input))
        case _:
            return Compute(plan, needed)


def _with_lenient_copy(plan: Plan) -> Plan:
    """Below the semantic filter that stopped a filter which may fail, the same filter that keeps the rows it fails on."""
    stopped = next(n for n in path(plan) if isinstance(n, Filter))
    barrier = stopped.input
    if not isinstance(barrier, Filter | Unnest) or has_subquery(stopped.predicate):
        return plan
    old = stopped.predicate
    copy = Expr(f"coalesce(TRY({old.sql}), true)", old.uses, f"{old.label} (or it fails)")
    if any(isinstance(n, Filter) and n.predicate == copy for n in path(barrier)):
        return plan
    lower = _sink(copy, barrier, past_filters=True)
    helps = any(isinstance(n, Filter) and n.predicate == copy and calls(n) != calls(barrier) for n in path(lower))
    return _replace_node(plan, stopped, replace(stopped, input=lower)) if helps else plan


def _replace_node(plan: Plan, old: Plan, new: Plan) -> Plan:
    return new if plan is old else with_children(plan, (_replace_node(children(plan)[0], old, new),))


RULE = Rule("relational_first", relational_first)
