"""Which share of its rows a filter lets through: what earlier queries taught, else a stated prior."""

from __future__ import annotations

from ...engine.plan.nodes import Call, Filter, Plan, SemanticCall
from ..context import Statistics
from ..paths import answers, path
from .figure import Figure

SEMANTIC_SELECTIVITY = 0.5
RELATIONAL_SELECTIVITY = 0.2
SOME_SHARE = 0.9
"""A share of which nothing is known lies in the middle nine tenths of what is possible."""


def selectivity(plan: Filter, statistics: Statistics) -> Figure:
    """Of a filter."""
    made = {n.call.output.name: n.call for n in path(plan.input) if isinstance(n, Call)}
    read = [made[name] for name in sorted(plan.predicate.uses & made.keys())]
    if len(read) == 1 and plan.predicate.sql == read[0].output.name:
        learnt = statistics.selectivity(read[0], feeds(plan, read[0]))
        if learnt is not None:
            return learnt
    semantic = bool(plan.predicate.uses & answers(plan.input))
    return prior_share(SEMANTIC_SELECTIVITY if semantic else RELATIONAL_SELECTIVITY)


def prior_share(prior: float, of: str = "selectivity") -> Figure:
    """A share of which nothing is known.

    >>> prior_share(0.5)
    Figure(value=0.5, source='prior: selectivity 0.5', low=0.04999999999999999, high=0.95)
    """
    return Figure(prior, f"prior: {of} {prior:g}", (1 - SOME_SHARE) / 2, (1 + SOME_SHARE) / 2)


def feeds(plan: Plan, call: SemanticCall) -> Plan | None:
    """What is below a call that something above it reads."""
    return next((n.input for n in path(plan) if isinstance(n, Call) and n.call.output == call.output), None)
