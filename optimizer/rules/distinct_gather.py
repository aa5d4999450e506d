"""Equal inputs are gathered and asked once."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Call, Plan, Source, Unnest
from ...engine.plan.walk import names, transform_up
from ...udfs.functions import functions
from ..context import Context
from ..paths import path
from ..rule import Rule


def distinct_gather(plan: Plan, context: Context) -> Plan | None:
    """Marks calls whose inputs may repeat, so that the operator gathers equal inputs before it asks.

    What: sets ``distinct`` on every call but two kinds, for which a table of seen inputs costs memory and finds nothing:
    inputs that are a key of the source (statistics say so), and an aggregate's group lists (long, and one per group).
    Why correct: equal inputs have equal answers; the runtime shares equal calls in flight even without the mark.
    Wrong for: a call that reads something besides its inputs, such as the time; ``SemanticCall`` has no such thing.
    """

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Call) or node.call.distinct or _never_repeats(node, context):
            return None
        return replace(node, call=replace(node.call, distinct=True))

    result = transform_up(plan, visit)
    return None if result == plan else result


def _never_repeats(node: Call, context: Context) -> bool:
    function = functions().get(node.call.function)
    if function is not None and function.kind == "aggregate":
        return True
    *above, bottom = path(node)
    arguments = frozenset(node.call.arguments)
    key = bool(arguments) and arguments <= names(bottom) and not any(isinstance(n, Unnest) for n in above)
    return key and isinstance(bottom, Source) and context.statistics.unique(bottom, arguments)


RULE = Rule("distinct_gather", distinct_gather)
