"""``llm_confirm_usd``: somebody is asked before a query that may cost more; where nobody is there to ask, it is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..dataflow.run import QueryRun
from ..errors import BudgetExceeded, Interrupted
from ..physical.ceiling import Ceiling, ceiling
from ..physical.planned import Planned
from ..physical.stages import Stages
from ..session import Session
from .waiting import Waiting

SETTING = "llm_confirm_usd"
Confirm = Callable[[str], bool]
"""Asks a person, given the estimate in words; true: run it."""


class Declined(Interrupted):
    """Whoever was asked said no."""


def confirm(
    session: Session, planned: Planned, variables: dict[str, Any], waiting: Waiting, ask: Confirm | None
) -> None:
    """Ask if the query may cost more than the setting allows without asking.

    Parameters
    ----------
    variables : the caller's Python variables that the statement may name as tables. ask : ``None``: nobody is there.

    Raises
    ------
    BudgetExceeded : nobody is there; ``spent`` is the estimate. Declined : the answer was no.
    """
    limit = session.settings.llm_confirm_usd
    if limit is None:
        return
    most = waiting.wait(partial(_ceiling, session, planned, variables), session.duck.interrupt)
    if not most.above(limit):
        return
    if ask is None:
        raise BudgetExceeded(
            f"The query was not run. Its estimated cost: {most} (if every row passes every filter, before the cache). That is "
            f"above {SETTING} = {limit:g}, and nobody is there to be asked. To allow it, SET {SETTING} to a larger sum, or "
            "to NULL for no question; the shell asks. EXPLAIN has the details.",
            SETTING,
            most.usd,
            limit,
        )
    if not ask(f"Estimated cost: {most} (if every row passes every filter, before the cache)."):
        raise Declined("The query was not run.")


def _ceiling(session: Session, planned: Planned, variables: dict[str, Any]) -> Ceiling:
    with session.duck.seeing(variables):
        run = QueryRun(session.store, session.settings)
        stages = Stages(run, session.models)
        return ceiling(session.duck, planned.plan, run, stages, session.models, planned.statistics)
