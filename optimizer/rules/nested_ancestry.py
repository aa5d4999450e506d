"""Groups of what one row became are made as soon as all of it is there."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ...engine.plan.nodes import Input, Plan, Pop, Relation, Source
from ...engine.plan.walk import calls, children, transform_up, walk, with_children
from ..ancestry import ancestry, passing
from ..context import Context
from ..rule import Rule


def nested_ancestry(plan: Plan, context: Context) -> Plan | None:
    """A GROUP BY whose keys determine the row that was split goes back to that row, instead of waiting for all of them.

    What: ``FROM docs d, LATERAL LLM_SPLIT(d.body, …) s … GROUP BY d.id`` makes the group of a document when the last of its
    parts is there, and calls above it (``LLM_AGG``) begin while other documents are still being split.
    Why correct: no group has parts of two rows if its keys determine the row (a declared key, or one that is found to be one
    while the rows are read; if it is not, all groups are made at the end).
    Wrong for: ``GROUP BY d.author``, whose groups hold parts of many documents; and for parts of which a call under a guarantee
    has to see all first.
    """

    read = Counter(item.name for node in walk(plan) if isinstance(node, Source | Relation) for item in node.inputs)
    shared = frozenset(name for name, times in read.items() if times > 1)

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Relation) or node.pop is not None or _guaranteed(node):
            return None
        found = ancestry(node, context.statistics, shared)
        if not isinstance(found, Pop):
            return None
        (item,) = node.inputs
        return replace(node, pop=found, inputs=(Input(item.name, _passing(item.plan)),))

    result = transform_up(plan, visit)
    return None if result == plan else result


def _guaranteed(plan: Plan) -> bool:
    """Whether a call below reads all rows before it answers any, for the sake of a guarantee."""
    return any(node.call.cascade is not None for node in calls(plan))


def _passing(plan: Plan) -> Plan:
    """Down to the first source: if it reads a query, that query's rows pass through it."""
    if isinstance(plan, Source):
        return passing(plan) or plan
    (below,) = children(plan)
    return with_children(plan, (below if isinstance(plan, Relation) else _passing(below),))


RULE = Rule("nested_ancestry", nested_ancestry)
