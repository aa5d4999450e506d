"""Who answers most rows of a call under a guarantee, where the user left it open."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.cascade import Cascade
from ...engine.plan.nodes import Call, Plan, SemanticCall
from ...engine.plan.walk import transform_up
from ..context import Context
from ..kinds_of_prompt import cheap
from ..rule import Rule


def proxy_choice(plan: Plan, context: Context) -> Plan | None:
    """Names a proxy that CREATE PROXY made for this very call, if its test went well enough; else the cheapest model that may answer
    for others, those that give probabilities first, or, where there is none, a student that the call's own model teaches.

    What: ``LLM_FILTER('…', body, guarantee := 'accuracy >= 0.95')`` with ``CREATE MODEL tiny …``: tiny answers the rows of which a sample
    proves that they may be answered so. Models of ``llm_candidate_models`` alone are taken, if it names any.
    Why correct: the promise is on the call already, and is kept whoever the proxy is: a bad one saves less.
    Wrong for: a call without a guarantee, which nobody may answer but its own model, and one that names its proxy.
    """

    def visit(node: Plan) -> Plan | None:
        cascade = node.call.cascade if isinstance(node, Call) else None
        if not isinstance(node, Call) or cascade is None or cascade.proxy != "model" or cascade.name:
            return None
        return replace(node, call=replace(node.call, cascade=_chosen(node.call, cascade, context)))

    result = transform_up(plan, visit)
    return None if result == plan else result


def _chosen(call: SemanticCall, cascade: Cascade, context: Context) -> Cascade:
    if taught := context.taught(call):
        return replace(cascade, proxy="named", name=taught)
    # One that gives no probabilities is equally sure of all its answers, of which all or few can then be believed.
    models = sorted(cheap(call, context), key=lambda model: not context.capabilities(model).choice_scores)
    return replace(cascade, name=models[0]) if models else replace(cascade, proxy="student")


RULE = Rule("proxy_choice", proxy_choice)
