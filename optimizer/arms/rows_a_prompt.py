"""Several rows share a prompt, of the call's own model or of another."""

from __future__ import annotations

from collections.abc import Iterator

from ...engine.plan.nodes import Arm, SemanticCall
from ..context import Context

SIZE = 8
"""Instructions are then an eighth of what they cost; with more, small models begin to mix rows up."""


def rows_a_prompt(call: SemanticCall, context: Context) -> Iterator[Arm]:
    """The call's own model and each candidate with :data:`SIZE` rows a prompt, unless the user said how many."""
    if call.options.get("batch_rows", 1) != 1:
        return
    own = str(call.options["model"])
    others = (name for name in context.candidates if name.casefold() != own.casefold())
    for name in (own, *others):
        yield Arm(f"{name}, {SIZE} rows a prompt", {"model": name, "batch_rows": SIZE})


KIND = rows_a_prompt
