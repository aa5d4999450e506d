"""A cheap model may leave the candidates of an ORDER BY … LIMIT by a score."""

from __future__ import annotations

import re
from dataclasses import replace

from ...engine.plan.nodes import Arm, Arms, Call, Compute, Keep, Plan, Relation, SemanticCall, TopK
from ...engine.plan.walk import calls, reads, transform_up
from ...udfs.prompts.ranking_option import POINTWISE
from ..context import Context
from ..kinds_of_prompt import alone, cheap
from ..paths import path
from ..rule import Rule

FUNCTIONS = frozenset(("LLM_SCORE", "LLM_RERANK"))
MOST = 2
_KEY = re.compile(r"(?P<name>\w+) (?P<way>ASC|DESC)(?: NULLS (?P<nulls>FIRST|LAST))?", re.I)


def screened_top_k(plan: Plan, context: Context) -> Plan | None:
    """Lets a cheap model score all rows, and the call's own only those that may come first.

    What: under ``SET llm_screened_top_k = true`` and ``llm_min_quality = 0.9``, ``ORDER BY LLM_SCORE('angry', body) DESC LIMIT 10``: the first
    candidates by the cheap model's scores are scored by the call's own, and so is a random sample of the others, until it is proved that
    at least nine of the first ten rows are candidates. All scores that are seen are the reference's.
    Why correct: it is not, row by row: a row that belongs to the first may be missing, as far as the user allowed. The proof takes it that
    the screen loses the first rows no more often than those behind them; no sample shows that, so the user has to ask for it.
    Wrong for: an order by more than the score, where equal scores are not all alike; a condition on the score; other calls in the query,
    which would share what may be lost; comparisons (``ranking := 'refine'``), which come out otherwise when a row is missing;
    ``on_error := 'fail'`` and budgets, where it decides the result which rows are asked.
    """
    objective, quality = context.policy.objective, context.policy.min_quality
    if (
        not context.settings.llm_screened_top_k
        or objective == "quality"
        or context.settings.llm_on_budget == "partial"
        or len(calls(plan)) != 1
    ):
        return None

    def visit(node: Plan) -> Plan | None:
        found = _top(node)
        if found is None or not isinstance(node, Relation) or not _plain(found[0].call, context):
            return None
        call, top_k = found
        screens = tuple(Arm(f"{model} as a screen", {"model": model}) for model in cheap(call.call, context)[:MOST])
        if not screens:
            return None
        made = replace(call.call, top_k=top_k, arms=Arms(screens, objective, 1.0 - (quality or 1.0), 1))
        (only,) = node.inputs
        return replace(node, inputs=(replace(only, plan=_with_call(only.plan, made)),))

    result = transform_up(plan, visit)
    return None if result == plan else result


def _top(node: Plan) -> tuple[Call, TopK] | None:
    """The call by whose answers alone a node keeps its first rows, and which rows these are."""
    if not isinstance(node, Relation) or not node.rowwise or not node.limit or node.order_by is None:
        return None
    key = _KEY.fullmatch(node.order_by.sql)
    if key is None or len(node.inputs) != 1:
        return None
    for below in path(node.inputs[0].plan):
        if isinstance(below, Call) and below.call.output.name == key["name"]:
            nulls_first = (key["nulls"] or "").upper() == "FIRST"
            return below, TopK(node.limit, POINTWISE, key["way"].upper() == "DESC", nulls_first)
        if not isinstance(below, Compute | Keep) or (isinstance(below, Compute) and key["name"] in reads(below)):
            return None
    return None


def _plain(call: SemanticCall, context: Context) -> bool:
    """Whether a row's score is its own, and missing ones are NULL."""
    on_error = call.options.get("on_error") or context.settings.llm_on_error
    given = (call.top_k, call.arms, call.truth, call.guard, call.online, call.cascade)
    fits = call.function in FUNCTIONS and bool(call.arguments) and alone(call)
    return fits and on_error == "null" and all(mark is None for mark in given)


def _with_call(node: Plan, call: SemanticCall) -> Plan:
    if isinstance(node, Call):
        return replace(node, call=call)
    assert isinstance(node, Compute | Keep)
    return replace(node, input=_with_call(node.input, call))


RULE = Rule("screened_top_k", screened_top_k, changes_answers=True)
