"""What the calls of a plan may lose together."""

from __future__ import annotations

from ..engine.plan.nodes import Plan
from ..engine.plan.walk import calls
from .context import Context


def allowance(plan: Plan, context: Context) -> float:
    """Share of rows in which answers may differ from the reference's: what the user allows, less what joins lose already."""
    lost = sum(1.0 - node.call.pairs.recall for node in calls(plan) if node.call.pairs is not None)
    return 1.0 - (context.policy.min_quality or 1.0) - lost
