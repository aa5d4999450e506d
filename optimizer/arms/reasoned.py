"""A cheap model says its reason before its answer: a wording in which small models err less."""

from __future__ import annotations

from collections.abc import Iterator

from ...engine.plan.nodes import Arm, SemanticCall
from ..context import Context
from ..kinds_of_prompt import REASONS, alone, hopeless, second_line

FUNCTIONS = frozenset(("LLM_FILTER", "LLM_CLASSIFY", "LLM_EXTRACT"))
MOST = 2


def reasoned(call: SemanticCall, context: Context) -> Iterator[Arm]:
    """The cheapest candidates whose plain answers may not do; not where examples show answers without a reason."""
    if call.function not in FUNCTIONS or not alone(call) or call.options.get("examples"):
        return
    for model in list(second_line(call, context))[:MOST]:
        name = f"{model}, reasons first"
        if not hopeless(name, call, context):
            yield Arm(name, {"model": model, REASONS: True})


KIND = reasoned
