"""Inputs of calls that stay in the text are found by a first run and asked all at once."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Plan, Relation
from ...engine.plan.walk import transform_up
from ..context import Context
from ..rule import Rule


def prefetch(plan: Plan, _context: Context) -> Plan | None:
    """Marks a statement with embedded calls to be run twice: to find what it asks, and, once that is answered, for good.

    What: sets ``prefetch`` on a relation with embedded calls that the binder has found a first run for. Whether DuckDB's own
    plan allows it (no LIMIT, no open transaction) shows when it runs.
    Why correct: in the first run no answer is known, and none could decide what is asked; the second asks what the first has
    missed, and its rows are the result.
    Wrong for: ``SELECT id FROM t WHERE f(a) OR g(b)`` with both embedded: g is asked only where f is not true, which the first
    run cannot know. The binder refuses it.
    """

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Relation) or not node.embedded or not node.first_run.sql or node.prefetch:
            return None
        return replace(node, prefetch=True)

    result = transform_up(plan, visit)
    return None if result == plan else result


RULE = Rule("prefetch", prefetch)
