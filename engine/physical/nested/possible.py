"""Whether the text between nested calls means the same on a bare connection, where it is done for some rows at a time."""

from __future__ import annotations

from dataclasses import replace

import duckdb

from ...plan.nodes import Compute, Filter, Plan, Relation, Source
from ...plan.walk import children, columns
from ...sql.names import stub
from ..duck import Duck
from ..fragments import relational_sql


def nests(plan: Relation, duck: Duck) -> bool:
    """Whether all that lies between a grouping with a ``pop`` and its source can be nested."""
    return all(_stands_alone(node, duck) for node in _below(plan))


def without_pop(plan: Plan) -> Plan | None:
    """A grouping that waits for all rows, or a source that does."""
    if isinstance(plan, Relation) and plan.pop is not None:
        return replace(plan, pop=None)
    return replace(plan, passes=False) if isinstance(plan, Source) and plan.passes else None


def _below(plan: Relation) -> list[Compute | Filter]:
    found: list[Compute | Filter] = []
    (below,) = children(plan)
    while True:
        if isinstance(below, Compute | Filter):
            found.append(below)
        if not isinstance(below, Relation) and relational_sql(below) is not None:
            return found
        inputs = children(below)
        if len(inputs) != 1:
            return found
        (below,) = inputs


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
