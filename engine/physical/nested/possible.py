"""Whether the text between nested calls means the same on a bare connection, where it is done for some rows at a time."""

from __future__ import annotations

from dataclasses import replace

import duckdb

from ...plan.nodes import Call, Compute, Filter, Keep, Plan, Relation, Source, Unnest
from ...plan.walk import children, columns
from ...sql.names import stub
from ..duck import Duck
from ..fragments import relational_sql


def nests(plan: Plan, duck: Duck) -> bool:
    """Whether all that lies between the top of a nested part and its source can be nested."""
    return all(_stands_alone(node, duck) for node in _path(plan) if isinstance(node, Compute | Filter))


def early(plan: Plan) -> bool:
    """Whether lists on this path are used before they are whole, though nobody groups their parts."""
    while isinstance(plan, Call | Compute | Filter | Keep | Unnest):
        if isinstance(plan, Unnest) and plan.early:
            return True
        plan = plan.input
    return False


def not_nested(plan: Plan) -> Plan | None:
    """The same without anything nested: a grouping or a source that waits for all rows, lists that are whole."""
    match plan:
        case Relation() if plan.pop is not None:
            return replace(plan, pop=None)
        case Source() if plan.passes:
            return replace(plan, passes=False)
        case Unnest() if plan.early:
            return replace(plan, early=False)
        case _:
            return None


def _path(plan: Plan) -> list[Plan]:
    """What is nested: down to what has no calls below it."""
    found: list[Plan] = []
    while relational_sql(plan) is None:
        found.append(plan)
        (plan,) = children(plan)
    return found


def _stands_alone(node: Compute | Filter, duck: Duck) -> bool:
    exprs = [node.predicate] if isinstance(node, Filter) else [c.expr for c in node.columns]
    sql = f"SELECT {', '.join(e.sql for e in exprs)} FROM ({stub(columns(node.input))})"
    if duck.names_redefined(sql):
        return False
    try:
        duck.describe(sql, private=True)
        return True
    except duckdb.Error:
        return False
