"""Queries that certainly cannot keep to their caps are refused before anything is paid."""

from __future__ import annotations

from dataclasses import replace

from ...optimizer.context import Statistics
from ...optimizer.search.policy import Policy
from ..plan.nodes import Relation, Source
from ..plan.walk import calls, walk
from ..settings import Settings
from ..store import Store
from .search_plans import Plans
from .streams_of_calls import share


def may_be_refused(plan: Relation, settings: Settings, statistics: Statistics) -> bool:
    """Whether it is worth a search: there is a cap that is an error, and every call has been measured.

    A source that cannot be read twice is not looked at beforehand. How many rows an estimate takes is found out as it goes.
    """
    caps = (settings.llm_max_cost_usd, settings.llm_max_seconds)
    if settings.llm_best_effort or settings.llm_on_budget == "partial" or caps == (None, None):
        return False
    made = [node.call for node in calls(plan)]
    known = all(statistics.tokens_in(replace(call, arms=None)) is not None for call in made)
    sources = [node for node in walk(plan) if isinstance(node, Source)]
    sampled = any(isinstance(node, Relation) and node.sampling is not None for node in walk(plan))
    return bool(made) and known and not sampled and all(statistics.rereadable(source) for source in sources)


def check_feasible(plans: Plans, policy: Policy, store: Store, *, cached: bool) -> None:
    """Refuse a query whose every plan is above a cap even by the lower end of what it may take.

    A guess is no reason: what has no interval counts as nothing. Answers in the store are free, and as many as there are of a
    call's model and function may be this query's.

    Parameters
    ----------
    cached : answers in the store may be used.

    Raises
    ------
    InfeasiblePlan : it names the nearest plan.
    """
    if plans.against:  # how good plans are is shown by the rows, and a cap is no reason to refuse for that
        policy = replace(policy, min_quality=0.0)
    if plans.chosen is None or policy.violation(plans.chosen) == 0.0:
        return
    money, seconds = _certain(plans, store, cached=cached)
    sure = replace(
        policy, max_cost_usd=_loosened(policy.max_cost_usd, money), max_seconds=_loosened(policy.max_seconds, seconds)
    )
    everything = [*plans.points, plans.chosen]
    if all(sure.violation(point) > 0.0 for point in everything):
        policy.choose(everything)


def _loosened(cap: float | None, certain: float) -> float | None:
    """The cap for a likeliest value of which so large a share is certain."""
    return cap / certain if cap is not None and certain > 0 else None


def _certain(plans: Plans, store: Store, *, cached: bool) -> tuple[float, float]:
    """Share of a plan's money, and of its seconds, that it takes at least."""
    money, seconds = float(plans.priced), float(plans.timed)
    for site, least in (plans.least or {}).items():
        arms = (plans.figures or {})[site]
        there = (
            sum(store.cache.count(model=m, function=least.function) for m in {arm.model for arm in arms})
            if cached
            else 0
        )
        fresh = max(0.0, least.questions - there) / least.likely if least.likely else 0.0
        money = min(money, *(fresh * share(arm.money) for arm in arms))
        seconds = min(seconds, *(fresh * share(arm.seconds) for arm in arms))
    return money, seconds
