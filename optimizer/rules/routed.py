"""Who answers a call is decided row by row."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Arm, Arms, Call, Plan, SemanticCall
from ...engine.plan.walk import calls, transform_up
from ..context import Context
from ..kinds_of_prompt import alone
from ..rule import Rule


def routed(plan: Plan, context: Context) -> Plan | None:
    """Has a policy that learns from audits decide, row by row, which of a call's arms answers.

    What: ``SET llm_router = 'bandit'`` and ``llm_min_quality = 0.95``: of ``WHERE LLM_FILTER('the customer is angry', body)`` the small
    model answers the rows of which it is sure enough, and the call's own model the others. Which are sure enough is learnt from rows
    that both are asked about: all at the beginning, later one in fifty. One price of a wrong row holds for all calls of the query.
    Why correct: it is not, row by row: answers change, as far as the user allowed, and by an estimate with its bound: audits, and not
    a proof, keep it (``llm_guarantee`` proves).
    Wrong for: a few hundred rows, most of which the call's own model is asked about; calls whose rows share prompts, or that are
    ranked, or compared with labels, which have their arms as they are.
    """
    if context.settings.llm_router == "none":
        return None

    armed = [node.call for node in calls(plan) if node.call.arms is not None]
    if any(call.arms is not None and call.arms.routed for call in armed):
        return None
    chosen = {call.output.name for call in armed if _may(call)}

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Call) or (arms := node.call.arms) is None:
            return None
        mine = node.call.output.name in chosen
        sites = len(chosen) if mine else arms.sites - len(chosen)
        # Those that are routed share what may be lost among themselves, and leave the others theirs.
        shared = replace(arms, loss=arms.loss * sites / arms.sites, sites=sites)
        if mine:
            shared = replace(shared, arms=_others(arms), earlier=(), routed=True)
        return replace(node, call=replace(node.call, arms=shared))

    return transform_up(plan, visit) if chosen else None


def _may(call: SemanticCall) -> bool:
    given = (call.top_k, call.pairs, call.merge, call.truth)
    return call.arms is not None and alone(call) and bool(_others(call.arms)) and all(mark is None for mark in given)


def _others(arms: Arms) -> tuple[Arm, ...]:
    """Those that answer a row by itself, in the call's own prompt."""
    return tuple(arm for arm in arms.arms if arm.plain and "batch_rows" not in arm.options)


RULE = Rule("routed", routed, changes_answers=True)
