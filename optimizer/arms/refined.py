"""A cheap model drafts, criticises its draft, and writes it anew where it objects."""

from __future__ import annotations

from collections.abc import Iterator

from ...engine.plan.nodes import Arm, SemanticCall
from ..context import Context
from ..kinds_of_prompt import REFINED, alone, hopeless, second_line

FUNCTIONS = frozenset(("LLM_EXTRACT", "LLM_COMPLETE"))
PROMPTS = 3.0
"""A draft, its critique and the answer."""


def refined(call: SemanticCall, context: Context) -> Iterator[Arm]:
    """The cheapest candidate whose plain answers may not do, where answers have parts and three prompts still cost little."""
    if call.function not in FUNCTIONS or not alone(call):
        return
    for model in list(second_line(call, context, PROMPTS))[:1]:
        name = f"{model}, criticised and refined"
        if not hopeless(name, call, context):
            yield Arm(name, {"model": model, REFINED: True})


KIND = refined
