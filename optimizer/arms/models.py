"""Another model answers the same prompt."""

from __future__ import annotations

from collections.abc import Iterator

from ...engine.plan.nodes import Arm, SemanticCall
from ..context import Context


def models(call: SemanticCall, context: Context) -> Iterator[Arm]:
    """One arm per candidate model that is not the call's own."""
    own = str(call.options["model"]).casefold()
    for name in context.candidates:
        if name.casefold() != own:
            yield Arm(name, {"model": name})


KIND = models
