"""How often the parts of a condition that no answer is needed for are TRUE, looked up in a source's first rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb

from ...optimizer.conditions import columns_of, parsed
from ..plan.nodes import Condition, Plan
from ..plan.walk import calls, names, walk
from .duck import Duck

Shares = Mapping[tuple[bool | None, ...], float]
"""Of rows, by the values of the parts in the order of the text."""


def known_parts(duck: Duck, plan: Plan, base: Plan, rows: str) -> dict[str, Shares]:
    """Per condition of a plan, by its text; those that read what is not there yet are left out.

    Parameters
    ----------
    base : the relational part that the conditions stand on. rows : a FROM item, its first rows.
    """
    found = {sql: _shares(duck, leaves, rows) for sql, leaves in _conditions(plan, base)}
    return {sql: shares for sql, shares in found.items() if shares}


def _conditions(plan: Plan, base: Plan) -> Iterator[tuple[str, list[str]]]:
    made = {node.call.output.name for node in calls(plan)}
    for node in walk(plan):
        if isinstance(node, Condition):
            leaves = [leaf for leaf in parsed(node.condition.sql).leaves if not columns_of(leaf) & made]
            if leaves and all(columns_of(leaf) <= names(base) for leaf in leaves):
                yield node.condition.sql, leaves


def _shares(duck: Duck, leaves: list[str], rows: str) -> Shares:
    values = ", ".join(f"({leaf})::BOOLEAN" for leaf in leaves)
    try:
        counted = duck.execute(f"SELECT {values}, count(*) FROM {rows} GROUP BY ALL ORDER BY ALL").fetchall()
    except duckdb.Error:
        return {}
    total = sum(row[-1] for row in counted)
    return {tuple(row[:-1]): row[-1] / total for row in counted}
