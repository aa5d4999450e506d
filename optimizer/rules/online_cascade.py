"""Students that a call's model teaches may answer for it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from ...engine.errors import Error
from ...engine.plan.nodes import Call, Plan, Relation, SemanticCall
from ...engine.plan.online import Online
from ...engine.plan.walk import calls, transform_up, walk
from ...engine.types import parse_type
from ...udfs.functions import functions
from ...udfs.spec import DYNAMIC
from ..allowance import allowance
from ..context import Context
from ..kinds_of_prompt import alone, cheap
from ..rule import Rule
from ..search.agreement import comparable

MOST_LABELS = 64
"""Of more labels each has too few of the reference's answers to learn from."""


def online_cascade(plan: Plan, context: Context) -> Plan | None:
    """Marks calls with few possible answers, so that students learn from the first answers and give the later ones.

    What: under ``SET llm_online_cascade = true`` and ``llm_min_quality = 0.95``, ``WHERE LLM_FILTER('the customer is angry', body)``: the
    model answers the first rows, and logistic regressions learn from it. Where they are sure enough they answer, then perhaps a small
    model, else the call's own; which is sure enough follows from how often each agreed with it so far. Two rows of a hundred, chosen by
    chance, ask the call's own model for good: they say what the agreement is, and find out when the rows change.
    Why correct: it is not, row by row: answers change, as far as the user allowed. Calls of one plan share what may be lost, and what
    a call may lose here is taken from what arms of the others get.
    Wrong for: a few hundred rows, which the call's own model answers all; answers of many kinds, of which nobody learns a decision;
    free text; several labels a row, or labels of each row's own; questions that are data themselves. A call under a guarantee, with
    labels of the user's own, a ranking, or a join whose pairs are sampled has its own way to lose less, and is left alone.
    """
    if not context.settings.llm_online_cascade or context.policy.objective == "quality":
        return None
    sampled = {each.call.output.name for node in walk(plan) if _estimated(node) for each in calls(node)}
    made = [node.call for node in calls(plan) if node.call.output.name not in sampled]
    marked = [call for call in made if _answers(call) is not None and call.online is None]
    share = allowance(plan, context) / max(1, sum(_may_lose(node.call) for node in calls(plan)))
    if not marked or share <= 0.0:
        return None
    found = {call.output.name: _online(call, share, context) for call in marked}

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Call) or node.call.output.name not in found:
            return None
        return replace(node, call=replace(node.call, online=found[node.call.output.name]))

    return transform_up(plan, visit)


def _estimated(node: Plan) -> bool:
    """Whether its numbers come from a sample: what is promised of them takes it that answers are the model's."""
    return isinstance(node, Relation) and node.sampling is not None


def _answers(call: SemanticCall) -> tuple[str, ...] | None:
    """All labels that a call may give, () of one that says TRUE or FALSE; ``None``: there is no such list, or it is not to be marked."""
    others = (call.cascade, call.truth, call.arms, call.top_k, call.pairs, call.merge)
    if any(mark is not None for mark in others) or not call.arguments or not alone(call):
        return None
    if call.function == "LLM_FILTER":
        return () if call.constants[0] is not DYNAMIC and call.output.type == "BOOLEAN" else None
    if call.function != "LLM_CLASSIFY" or call.output.type != "VARCHAR":
        return None
    declared = call.constants[1]
    labels = tuple(declared) if isinstance(declared, list | tuple | Mapping) else ()
    return labels if 2 <= len(labels) <= MOST_LABELS else None


def _may_lose(call: SemanticCall) -> bool:
    """Whether anybody else might answer it: then it has a share in what the plan may lose."""
    function = functions().get(call.function)
    taken = call.pairs is not None or call.online is not None or call.cascade is not None
    return function is not None and not taken and comparable(function, parse_type(call.output.type))


def _online(call: SemanticCall, loss: float, context: Context) -> Online:
    return Online(loss, _answers(call) or (), "".join(cheap(call, context)[:1]), _embedding(context))


def _embedding(context: Context) -> str:
    """The embedding model, where the user wants it and its vectors are free; what cannot be opened is nobody's loss.

    Not of itself: all rows need a vector, which takes a local model longer than a fast reference takes for its answer.
    """
    if not context.settings.llm_online_embeddings:
        return ""
    name = context.settings.llm_embedding_model
    with suppress(Error):
        able = context.capabilities(name)
        return name if able.embeds and able.local else ""
    return ""


RULE = Rule("online_cascade", online_cascade, changes_answers=True)
