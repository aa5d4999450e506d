"""Long texts cut to the parts that have to do with the question, for the call's own model or a cheaper one."""

from __future__ import annotations

from collections.abc import Iterator

from ...engine.plan.nodes import Arm, SemanticCall
from ..context import Context
from ..kinds_of_prompt import REDUCED, alone, cheap, hopeless

LONG_TOKENS = 2_000
"""Prompts that are known to be shorter, in the mean, have hardly anything to be cut."""


def reduced(call: SemanticCall, context: Context) -> Iterator[Arm]:
    """The call's own model and the cheapest candidate, where texts may be long. One that finds them short is dropped unpaid."""
    known = context.statistics.tokens_in(call)
    if not alone(call) or "VARCHAR" not in call.argument_types or (known is not None and known.value < LONG_TOKENS):
        return
    for model in (str(call.options["model"]), *cheap(call, context)[:1]):
        name = f"{model}, long texts cut"
        if not hopeless(name, call, context):
            yield Arm(name, {"model": model, REDUCED: True})


KIND = reduced
