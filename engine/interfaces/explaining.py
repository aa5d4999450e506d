"""EXPLAIN, PROFILE and SHOW FRONTIER: what a connection says about a query instead of running it as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from ...optimizer.context import Context
from ..errors import BindError, NotSupportedError
from ..physical.arm_costs import typical_price
from ..physical.estimates import Explained
from ..physical.feasible import check_feasible, may_be_refused
from ..physical.plan_notes import frontier_table
from ..physical.planned import Planned
from ..physical.profiling import profile_table, sampled, with_arms
from ..session import Session
from ..sql.statements import Explain, Profile, ShowFrontier
from .reading import Reading
from .waiting import Waiting

T = TypeVar("T")
Read = Callable[[Planned], Reading]
"""Gives a planned statement that has yet to be read."""


def explained(
    session: Session, statement: Explain, variables: Mapping[str, Any], waiting: Waiting, read: Read
) -> pa.Table:
    """EXPLAIN's text or JSON; ANALYZE runs the query first."""
    if statement.analyze:
        reading = read(_planned(session, statement.query))
        reading.table()
        result: Explained = reading.execution.explain()
    else:
        result = _look(session, variables, waiting, partial(session.explain, statement.query))
    return pa.table({"explain": [result.json if statement.form == "json" else result.text]})


def profiled(session: Session, statement: Profile, read: Read) -> pa.Table:
    """Answer the first rows by every arm, and say what came of it. The answers are kept: the query does not pay for them again.

    Raises
    ------
    NotSupportedError : it is no query, or its calls cannot be answered twice.
    """
    planned = _planned(session, statement.query)
    if not planned.returns_rows:
        raise NotSupportedError(
            "PROFILE takes a query; a statement that changes something would do so. PROFILE its SELECT."
        )
    models = session.models
    price = typical_price(models.find)
    context = Context(session.settings, session.capabilities, planned.statistics, models.candidates(), price)
    plan = sampled(with_arms(planned.plan, context), session.settings.llm_profile_rows)
    optimized = replace(planned.optimized, plan=plan)
    reading = read(replace(planned, optimized=optimized, profiles=True))
    reading.table()
    return profile_table(plan, reading.execution.stages)


def frontier(session: Session, statement: ShowFrontier, variables: Mapping[str, Any], waiting: Waiting) -> pa.Table:
    """The plans worth choosing from."""
    planned = None if statement.query is None else _planned(session, statement.query)
    return frontier_table(_look(session, variables, waiting, partial(session.plans, planned)))


def refuse(session: Session, planned: Planned, variables: Mapping[str, Any], waiting: Waiting) -> None:
    """Refuse a query that certainly cannot keep to its caps. Raises InfeasiblePlan."""
    settings = session.settings
    if planned.profiles or not may_be_refused(planned.plan, settings, planned.statistics):
        return
    plans = _look(session, variables, waiting, partial(session.plans, planned, all_arms=False))
    policy = Context(settings).policy
    check_feasible(plans, policy, session.store, cached=settings.llm_cache)


def _planned(session: Session, query: str) -> Planned:
    planned = session.plan(query)
    if planned is None:
        raise BindError("The query has no semantic call.")
    return planned


def _look(session: Session, variables: Mapping[str, Any], waiting: Waiting, work: Callable[[], T]) -> T:
    def seeing() -> T:
        with session.duck.seeing(dict(variables)):
            return work()

    return waiting.wait(seeing, session.duck.interrupt)
