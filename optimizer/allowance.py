"""What the calls of a plan may lose together."""

from __future__ import annotations

from ..engine.plan.nodes import Plan
from ..engine.plan.walk import calls
from .context import Context


def allowance(plan: Plan, context: Context) -> float:
    """Share of rows in which answers may differ from the reference's: what the user allows, less what joins and students lose already."""
    made = [node.call for node in calls(plan)]
    lost = sum(1.0 - call.pairs.recall for call in made if call.pairs is not None)
    lost += sum(call.online.loss for call in made if call.online is not None)
    return max(0.0, 1.0 - (context.policy.min_quality or 1.0) - lost)
