"""What a query that ends has to teach: the sums of each call site, for the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace

from ..dataflow.moments import Moments
from ..dataflow.progress import SiteProgress
from ..errors import BindError, InterfaceError, OperationalError
from ..plan.nodes import Plan
from ..store import Store
from ..store.statistics import TaskStatistics
from .operators.call_stage import Armed, CallStage
from .stages import Stages
from .task_keys import Site, about, sites, task_key, thinned_by


def learn(plan: Plan, stages: Stages, store: Store) -> Future[None] | None:
    """Add what the calls of a plan were like to the store's statistics; ``None``: they have not been asked, or nobody can
    write it down. It is the same for a query that failed or was stopped: what was answered was answered."""
    with suppress(
        InterfaceError, OperationalError, BindError
    ):  # the store is closed, or a model is gone: nothing is lost
        made = [each for site in sites(plan) for each in _of_site(site, stages)]
        return store.statistics.add(made) if made else None
    return None


def _of_site(site: Site, stages: Stages) -> Iterator[TaskStatistics]:
    stage = stages.made.get(site.call.output.name)
    if stage is None:
        return
    thinned = thinned_by(site.below, stages.spec)
    asked = stage.caller.progress.inputs if stage.armed is None else stage.armed.chooser.asked[0]
    known = _sums(_blank(stage, site.data, thinned), stage, asked)
    if known.inputs or known.calls:
        rows, rows_true = _rows(stage)
        yield replace(known, rows=rows, rows_true=rows_true)
    if stage.armed is not None:
        yield from _of_arms(stage, stage.armed, site, thinned)


def _of_arms(stage: CallStage, armed: Armed, site: Site, thinned: str) -> Iterator[TaskStatistics]:
    """Arms are calls that a user could have written: what they take is kept as theirs, how they agree as the reference's."""
    for arm, made in enumerate(armed.stages, 1):
        taken = _sums(_blank(made, site.data, thinned), made, armed.chooser.asked[arm])
        # The questions of a screen are those of the same model as an arm of its own, which tells of them.
        if taken.calls and made.screened is None:
            yield taken
        tally = armed.chooser.tallies[arm]
        if tally.rows:
            compared = replace(_blank(stage, site.data, thinned), arm=armed.names[arm])
            yield replace(compared, compared=float(tally.rows), agreed=float(tally.agreed))


def _blank(stage: CallStage, data: str, thinned: str) -> TaskStatistics:
    call, spec = stage.call, stage.caller.spec
    return TaskStatistics(
        task_key(call, spec), "", data, thinned, call.function, spec.name, about(call), updated_at=time.time()
    )


def _sums(blank: TaskStatistics, stage: CallStage, inputs: int) -> TaskStatistics:
    """``inputs``: distinct ones that this stage was asked about; other arms were asked about the others."""
    progress = stage.caller.progress
    taken = progress.moments
    return replace(
        blank,
        inputs=float(inputs or progress.asked - progress.calibration),
        paid=_paid(stage, progress, taken, inputs),
        calls=float(taken.calls),
        tokens_in=taken.tokens_in,
        tokens_in_squares=taken.tokens_in_squares,
        tokens_out=taken.tokens_out,
        tokens_out_squares=taken.tokens_out_squares,
        seconds=taken.seconds,
        seconds_squares=taken.seconds_squares,
    )


def _paid(stage: CallStage, progress: SiteProgress, taken: Moments, inputs: int) -> float:
    """Inputs that the calls were for. A task may need several for one; several may share one; some were found.

    Of calls on their own it is what of all that was asked was answered by paying; where rows share prompts, what was not found,
    less what was under way in prompts that never were answered.
    """
    prepared = len(stage.task.preparation()) if progress.calibration else 0
    asked = progress.asked - prepared
    if asked <= 0 or not inputs:
        return float(taken.answered)
    if stage.batching is None:
        return taken.answered * inputs / asked
    sent = max(1, progress.calls - progress.calibration)
    return inputs * max(0.0, asked - progress.cached) / asked * taken.calls / sent


def _rows(stage: CallStage) -> tuple[float, float]:
    """Rows answered, and with TRUE."""
    progress = stage.caller.progress
    if stage.type.kind != "boolean":
        return 0.0, 0.0
    return float(progress.rows_done - progress.rows_null - progress.failed), float(progress.rows_true)
