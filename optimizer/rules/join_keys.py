"""Of a join's rows, each may be asked for keys, so that pairs which agree in one are asked first."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Call, Plan
from ...engine.plan.walk import transform_up
from ...udfs.spec import DYNAMIC
from ..context import Context
from ..rule import Rule


def join_keys(plan: Plan, context: Context) -> Plan | None:
    """Lets a join that blocks would answer ask each row for short keys first, where its matches have few words in common.

    What: under ``SET llm_min_quality``, ``FROM a JOIN b ON LLM_FILTER('{0} and {1} are the same firm', a.name, b.name)``: one question a
    row (many in a prompt) for names by which its partners can be found; rows with a key in common are joined by hash and asked
    alone. Of all pairs, blocks that are drawn by chance are asked, and what they find beside those shows what was left out.
    Whether that costs less than blocks about all pairs is seen when the rows are there.
    Why correct: it is not, row by row. It stands where ``semantic_join`` stands, and takes no more of the allowance: a pair that stays
    has been asked, and what is lost is bounded before anything is left out; else all is asked as without the rule.
    Wrong for: conditions that come with the row, from which no one question for keys can be made, and outer joins, ``LIMIT`` and
    ``on_error := 'fail'``, which ``semantic_join`` does not mark.
    """

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Call) or node.call.pairs is None or node.call.constants[0] is DYNAMIC:
            return None
        return replace(node, call=replace(node.call, pairs=replace(node.call.pairs, keys=True)))

    del context
    result = transform_up(plan, visit)
    return None if result == plan else result


RULE = Rule("join_keys", join_keys, changes_answers=True)
