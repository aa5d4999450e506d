"""PREFETCH: a first run finds what a statement with embedded calls will ask, everything is asked at once, then it runs.

The statement's own run is the authority. It asks what the first run has missed, so the first only ever saves time: DuckDB
hands an embedded call at most 2,048 rows at a time, often a handful, and waits for their answers before the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import duckdb

from ..dataflow.run import QueryRun
from ..plan.nodes import Relation
from .duck import Duck
from .embedded import Lookup, Lookups, wait_on_loop
from .inputs import Inputs
from .prefetch_asking import Remembered, ask_all
from .prefetch_plan import refusal
from .stages import Stages


def prefetch(duck: Duck, run: QueryRun, plan: Relation, lookups: Sequence[Lookup]) -> None:
    """Give the look-ups the answers to what ``plan`` will ask, as far as they can be known beforehand.

    Parameters
    ----------
    lookups : of its embedded calls, registered.

    Raises
    ------
    Error : what would end the query anyway; see ``ask_all``.
    """
    refused = refusal(duck, plan)
    run.check()  # who stopped it while DuckDB planned interrupted nothing else
    if refused:
        return
    found = _first_run(duck, run, plan.first_run.sql, lookups)
    for lookup, inputs in zip(lookups, found or (), strict=found is not None):
        if len(inputs):
            outcomes = wait_on_loop(partial(ask_all, inputs, lookup.stage, run), run)
            lookup.stage = replace(
                lookup.stage, task=Remembered(lookup.stage.task, outcomes, lookup.stage.caller.progress)
            )


def found_beforehand(duck: Duck, run: QueryRun, plan: Relation, stages: Stages) -> list[Inputs] | None:
    """The inputs of each embedded call, for an estimate: nobody is asked. ``None``: they cannot be known before it runs."""
    lookups = Lookups(duck, run, stages)
    try:
        lookups.register(plan.embedded)
        return None if refusal(duck, plan) else _first_run(duck, run, plan.first_run.sql, lookups.made)
    finally:
        lookups.unregister()


def _first_run(duck: Duck, run: QueryRun, sql: str, lookups: Sequence[Lookup]) -> list[Inputs] | None:
    """The inputs of each look-up; ``None``: it fails."""
    found = [Inputs() for _ in lookups]
    for lookup, inputs in zip(lookups, found, strict=True):
        lookup.found = inputs
    try:
        for _ in duck.open(sql):
            pass
    except duckdb.InterruptException:
        run.check()
        raise
    except duckdb.Error:
        run.check()
        if not any(inputs.full for inputs in found):
            return None  # NULL for an answer may be an error where the answer is none
    finally:
        for lookup in lookups:
            lookup.found = None
    run.check()
    return found
