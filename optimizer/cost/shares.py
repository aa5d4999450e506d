"""Which share of its rows a filter lets through: what earlier queries taught, else a stated prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from ...engine.plan.nodes import Call, Filter, Plan, SemanticCall
from ..context import Statistics
from ..paths import answers, path
from .figure import Figure, student

SEMANTIC_SELECTIVITY = 0.5
RELATIONAL_SELECTIVITY = 0.2
SOME_SHARE = 0.9
"""A share of which nothing is known lies in the middle nine tenths of what is possible."""

ENOUGH_TASKS = 5
APART = 1.2
"""Log-odds by which shares of questions lie apart, about, however alike the few are that are known (``make bench-prior``)."""
SURE = 0.01


def selectivity(plan: Filter, statistics: Statistics) -> Figure:
    """Of a filter."""
    made = {n.call.output.name: n.call for n in path(plan.input) if isinstance(n, Call)}
    read = [made[name] for name in sorted(plan.predicate.uses & made.keys())]
    if len(read) == 1 and plan.predicate.sql == read[0].output.name:
        learnt = statistics.selectivity(read[0], feeds(plan, read[0]))
        return learnt or usual(read[0], statistics)
    semantic = bool(plan.predicate.uses & answers(plan.input))
    return prior_share(SEMANTIC_SELECTIVITY if semantic else RELATIONAL_SELECTIVITY)


def usual(call: SemanticCall, statistics: Statistics) -> Figure:
    """Of rows of which a call is TRUE that nobody has seen: as calls of its kind are, else half of them."""
    return statistics.usual(call) or prior_share(SEMANTIC_SELECTIVITY)


def prior_share(prior: float, of: str = "selectivity") -> Figure:
    """A share of which nothing is known.

    >>> prior_share(0.5)
    Figure(value=0.5, source='prior: selectivity 0.5', low=0.04999999999999999, high=0.95)
    """
    return Figure(prior, f"prior: {of} {prior:g}", (1 - SOME_SHARE) / 2, (1 + SOME_SHARE) / 2)


def of_tasks(shares: Sequence[float]) -> Figure | None:
    """The share of another task, by those of earlier ones; ``None``: too few are known.

    The interval is of one further task (Student's t of log-odds), which differs from others by :data:`APART` at least.

    >>> of_tasks([0.1, 0.2, 0.3, 0.2, 0.2]).range
    '0.01 to 0.80'
    """
    if len(shares) < ENOUGH_TASKS:
        return None
    n, value = len(shares), fmean(shares)
    odds = [_log_odds(share) for share in shares]
    half = student(n - 1) * max(APART, stdev(odds)) * math.sqrt(1 + 1 / n)
    low, high = (1 / (1 + math.exp(-fmean(odds) - side)) for side in (-half, half))
    return Figure(value, f"mean of {n:,} earlier tasks", min(low, value), max(high, value))


def _log_odds(share: float) -> float:
    inside = min(max(share, SURE), 1 - SURE)
    return math.log(inside / (1 - inside))


def feeds(plan: Plan, call: SemanticCall) -> Plan | None:
    """What is below a call that something above it reads."""
    return next((n.input for n in path(plan) if isinstance(n, Call) and n.call.output == call.output), None)
