"""Questions about a path: the nodes from one plan down to the first that is not unary (a Source or a Relation).

A row above an Unnest has one below it, but not the other way round: it may be there several times, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..engine.plan.nodes import (
    Call,
    Compute,
    Condition,
    Conjunction,
    Demand,
    Filter,
    Keep,
    Plan,
    Relation,
    Sort,
    Source,
    Unnest,
)
from ..engine.plan.walk import columns
from .expressions import movable, same_text


def path(plan: Plan) -> Iterator[Plan]:
    """``plan`` and what lies under it on the same row path, its Source or Relation last."""
    while isinstance(plan, Compute | Filter | Call | Unnest | Keep | Sort | Demand | Conjunction | Condition):
        yield plan
        plan = plan.input
    yield plan


def types(plan: Plan) -> dict[str, str]:
    """DuckDB type by column name."""
    return {c.name: c.type for c in columns(plan)}


def answers(plan: Plan) -> frozenset[str]:
    """Columns that hold an answer of a call on this path, or were computed from one."""
    found: set[str] = set()
    for node in reversed(list(path(plan))):
        match node:
            case Call():
                found.add(node.call.output.name)
            case Compute():
                found.update(c.column.name for c in node.columns if c.expr.uses & found)
            case _:
                pass
    return frozenset(found)


def aliases(plan: Plan) -> dict[str, str]:
    """For each column that repeats an earlier one of the path (same words over the same columns), the earlier one's name."""
    first: dict[object, str] = {}
    same: dict[str, str] = {}
    for node in reversed(list(path(plan))):
        for name, sql in _definitions(node):
            same[name] = first.setdefault(same_text(sql, same), name)
    return same


def _definitions(node: Plan) -> Iterator[tuple[str, str]]:
    match node:
        case Source():
            yield from ((i.columns[0].name, i.sql) for i in node.items if len(i.columns) == 1)
        case Compute():
            yield from ((c.column.name, c.expr.sql) for c in node.columns if movable(c.expr))
        case Filter() | Call() | Unnest() | Keep() | Sort() | Demand() | Conjunction() | Condition() | Relation():
            return
