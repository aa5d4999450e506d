"""A join with few short texts on one side may be asked as a classification."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Call, Plan, SemanticCall
from ...engine.plan.walk import transform_up
from ...udfs.spec import DYNAMIC
from ..context import Context
from ..rule import Rule


def join_classification(plan: Plan, context: Context) -> Plan | None:
    """Lets one prompt ask a row of one side about all texts of the other, where these turn out to be few and short.

    What: under ``SET llm_min_quality``, ``FROM docs d JOIN labels l ON LLM_FILTER('{d.text} is about {l.name}', d.text, l.name)``: a
    call a document, which names the labels that match, instead of a call a pair. Which side is the small one is seen when the
    rows are there.
    Why correct: it is not, row by row. It stands where ``semantic_join`` stands, and takes no more of the allowance: rows drawn by
    chance are asked both ways, and the classification serves only if it has proved to agree with the pairs alone.
    Wrong for: conditions that come with the row, of which a prompt has no one question, and ``examples``, whose answers are Yes or No.
    """

    def visit(node: Plan) -> Plan | None:
        if (
            not isinstance(node, Call)
            or node.call.pairs is None
            or node.call.pairs.labels
            or not _one_question(node.call)
        ):
            return None
        return replace(node, call=replace(node.call, pairs=replace(node.call.pairs, labels=True)))

    del context
    result = transform_up(plan, visit)
    return None if result == plan else result


def _one_question(call: SemanticCall) -> bool:
    return call.constants[0] is not DYNAMIC and not call.options.get("examples")


RULE = Rule("join_classification", join_classification, changes_answers=True)
