"""A cheap model drops rows; the call's own model is asked about those that it would keep, and its answer counts."""

from __future__ import annotations

from collections.abc import Iterator

from ...engine.plan.nodes import Arm, SemanticCall
from ..context import Context


def checked(call: SemanticCall, context: Context) -> Iterator[Arm]:
    """One arm per candidate model, for conditions: no row is kept wrongly, and where few are kept few are asked twice."""
    if call.output.type.upper() != "BOOLEAN" or call.options.get("batch_rows", 1) != 1:
        return
    own = str(call.options["model"])
    for name in context.candidates:
        if name.casefold() != own.casefold():
            yield Arm(f"{name}, kept rows checked by {own}", {"model": name}, checked=True)


KIND = checked
