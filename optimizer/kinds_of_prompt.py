"""Options of arms that ask otherwise than the call as written, and which candidates are worth being asked so.

What a cheap model says in answer to the plain prompt is compared first. Dearer ways to ask it (a reason, a second look, a mixture
with others) are sought where earlier queries, or PROFILE, have shown that this may not do: else they would only take rows and
error from the proof of the plain ones.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..engine.plan.nodes import SemanticCall
from ..udfs.functions import functions
from .context import Context
from .cost.figure import Figure

REDUCED, REASONS, REFINED = "reduced_context", "reasons_first", "second_look"
WRITTEN = "written_as_sql"
"""Names of options. No user can write them: the binder knows none of them."""
MARGIN = 2.0
"""An arm that is expected to save less than half has to be nearly as good as the reference, and is then hardly worth its proof."""


def cheap(call: SemanticCall, context: Context, prompts: float = 1.0) -> tuple[str, ...]:
    """Candidates that cost little against the call's own model, the cheapest first; one of unknown price is not ruled out.

    Parameters
    ----------
    prompts : that one answer takes.
    """
    own = str(call.options["model"])
    theirs = context.price(own)
    found = [(context.price(name), name) for name in context.candidates if name.casefold() != own.casefold()]
    fits = [(usd, name) for usd, name in found if usd is None or theirs is None or prompts * MARGIN * usd <= theirs]
    return tuple(name for _, name in sorted(fits, key=lambda pair: (pair[0] is None, pair[0] or 0.0)))


def second_line(call: SemanticCall, context: Context, prompts: float = 1.0) -> Mapping[str, float]:
    """Cheap candidates and how far their plain answers agree, if all have been compared and none will surely do; else none."""
    known = {model: context.statistics.agreement(call, model) for model in cheap(call, context)}
    if any(figure is None or _low(figure) >= _target(context) for figure in known.values()):
        return {}
    fits = cheap(call, context, prompts)
    return {model: figure.value for model, figure in known.items() if figure is not None and model in fits}


def hopeless(name: str, call: SemanticCall, context: Context) -> bool:
    """Whether an arm has been compared and will not do."""
    known = context.statistics.agreement(call, name)
    return known is not None and (known.value if known.high is None else known.high) < _target(context)


def alone(call: SemanticCall) -> bool:
    """Whether each row has a prompt of its own, which can be put otherwise, and becomes one answer."""
    return bool(call.options.get("batch_rows", 1) == 1) and not functions()[call.function].to_many


def _target(context: Context) -> float:
    return context.policy.min_quality or 1.0


def _low(known: Figure) -> float:
    return known.value if known.low is None else known.low
