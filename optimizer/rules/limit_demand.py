"""A LIMIT reaches down to where rows are still cheap."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import (
    Call,
    Compute,
    Condition,
    Conjunction,
    Demand,
    Expr,
    Filter,
    Input,
    Keep,
    Plan,
    Relation,
    Sort,
    Source,
    Unnest,
)
from ...engine.plan.walk import transform_up
from ..context import Context
from ..paths import path
from ..rule import Rule


def limit_demand(plan: Plan, context: Context) -> Plan | None:
    """Only as many rows travel upward as a plain projection with a LIMIT will read.

    What: under a Relation that needs k rows, a Demand for k above the topmost filter or Unnest (calls above it see k rows, calls
    below it are made in waves until k rows pass); with no filter in the way, the Sort or the Source itself stops at k rows.
    Why correct: calls and computed columns keep rows and their order, so the first k rows above are the first k below.
    Wrong for: ``GROUP BY`` above the calls, or ``ORDER BY LLM_SCORE(…)``, which need every row. So a Relation with an
    order of its own counts only over a Sort by it, and the demand passes no Relation that is not row by row, in order.
    """
    del context
    result = transform_up(plan, _visit)
    return None if result == plan else result


def _visit(node: Plan) -> Plan | None:
    if not isinstance(node, Relation) or node.limit is None or len(node.inputs) != 1:
        return None
    if node.order_by is not None and not _arrives_sorted(node.inputs[0].plan, node.order_by):
        return None
    return _under(node, node.limit)


def _arrives_sorted(plan: Plan, keys: Expr) -> bool:
    sorts = [n for n in path(plan) if isinstance(n, Sort)]
    return bool(sorts) and sorts[0].keys == keys


def _under(node: Relation, rows: int) -> Relation:
    only = node.inputs[0]
    return replace(node, inputs=(Input(only.name, _demand(only.plan, rows)),))


def _demand(plan: Plan, rows: int) -> Plan:
    match plan:
        case Call() | Compute() | Keep():
            return replace(plan, input=_demand(plan.input, rows))
        case Demand():
            return replace(plan, rows=min(rows, plan.rows))
        case Sort() | Source():
            return replace(plan, limit=rows if plan.limit is None else min(rows, plan.limit))
        case Relation() if _one_row_per_row(plan):
            return _under(plan, rows)
        case Filter() | Conjunction() | Condition() | Relation() | Unnest():
            return Demand(plan, rows)


def _one_row_per_row(node: Relation) -> bool:
    return node.rowwise and node.limit is None and node.order_by is None and len(node.inputs) == 1


RULE = Rule("limit_demand", limit_demand)
