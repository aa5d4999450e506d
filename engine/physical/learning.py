"""What a query that ends has to teach: the sums of each call site, for the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace

from ...optimizer.arms.code import sql_arm
from ...optimizer.search.chooser import Chooser
from ...optimizer.search.tally import Tally
from ..dataflow.moments import Moments
from ..dataflow.progress import SiteProgress
from ..errors import BindError, InterfaceError, OperationalError
from ..plan.nodes import Plan
from ..store import Store
from ..store.statistics import TaskStatistics
from .operators.call_stage import Armed, CallStage, Merging, Way
from .stages import Stages
from .task_keys import Site, about, compared_as, sites, task_key, thinned_by, together


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
    # A profile asks about a table's first rows each time: where the store cannot tell, nothing that it sees is surely new.
    fresh = float(not stages.compares or bool(stage.call.options["cache"]))
    known = replace(_sums(_blank(stage, site.data, thinned), stage, _asked(stage)), fresh=fresh)
    if known.inputs or known.calls:
        rows, rows_true = _rows(stage)
        yield replace(known, rows=rows, rows_true=rows_true)
    if stage.armed is not None:
        yield from _of_arms(stage, stage.armed, site, thinned, fresh)
    group = stages.groups.get(site.call.output.name)
    if group is not None:
        yield from _of_group(stage, group, site, thinned, fresh)


def _asked(stage: CallStage) -> int:
    """Inputs that the call's own model was asked about."""
    if stage.taught is not None:
        return stage.taught.counts.reference
    if stage.routed is not None:
        return stage.routed.site.curve.asked[0]
    return stage.caller.progress.inputs if stage.armed is None else stage.armed.chooser.asked[0]


def _of_arms(stage: CallStage, armed: Armed, site: Site, thinned: str, fresh: float) -> Iterator[TaskStatistics]:
    """Arms are calls that a user could have written: what they take is kept as theirs, how they agree as the reference's."""
    blank = _blank(stage, site.data, thinned)
    for arm, made in enumerate(armed.stages, 1):
        taken = _sums(_blank(made, site.data, thinned), made, armed.chooser.asked[arm])
        # The questions of a screen are those of the same model as an arm of its own, which tells of them.
        if taken.calls and made.screened is None:
            yield replace(taken, fresh=fresh)
        named, asked = replace(blank, arm=compared_as(stage.call, _name(armed, arm))), armed.chooser.asked[arm]
        if armed.judged is None:
            yield from _compared(named, armed.chooser, arm, (stage, made))
        else:
            yield from _labelled(named, armed.chooser.tallies[arm], made, asked)
    if armed.judged is not None:
        named = replace(blank, arm=compared_as(stage.call, armed.names[0]))
        yield from _labelled(named, armed.judged.tally, stage, armed.chooser.asked[0])


def _name(armed: Armed, arm: int) -> str:
    """What an expression was found to be is its own, whoever wrote it: a later query takes this expression, or none of that."""
    made = armed.stages[arm - 1]
    if made.written is None:
        return armed.names[arm]
    return sql_arm(str(made.call.options["model"]), made.written.expression)


def _of_group(stage: CallStage, group: Merging, site: Site, thinned: str, fresh: float) -> Iterator[TaskStatistics]:
    """What the calls of a group took where they were asked alone for comparison, and how one prompt for all of them agreed."""
    for way in group.ways:
        for alone in () if way.together else way.stages:
            taken = _sums(_blank(alone, site.data, thinned), alone, 0)
            if taken.calls:  # inputs of the calls as written are counted where their rows are
                yield replace(taken, fresh=fresh, inputs=0.0 if way is group.ways[0] else taken.inputs)
    blank = _blank(_together(group.ways[0]), site.data, thinned)
    for arm in group.chooser.tallies:
        way = group.ways[arm]
        one = _together(way)
        taken = _sums(_blank(one, site.data, thinned), one, group.chooser.asked[arm])
        if taken.calls and way.together:
            yield replace(taken, fresh=fresh)
        yield from _compared(replace(blank, arm=way.name), group.chooser, arm, (stage, one))


def _together(way: Way) -> CallStage:
    """The stage by which a group asks in one prompt, as if it were that of one call."""
    return replace(way.stages[0], call=together([stage.call for stage in way.stages]))


def _compared(
    blank: TaskStatistics, chooser: Chooser, arm: int, both: tuple[CallStage, CallStage]
) -> Iterator[TaskStatistics]:
    """How an arm agreed with the reference, in audits, too; ``both`` : the reference's stage and the arm's.

    Without the cache nobody can tell whether rows are those of an earlier query: then they count as far as they are more.
    """
    tally = chooser.tallies[arm]
    rows, agreed = tally.rows + tally.audited, tally.agreed + tally.agreed_in_audits
    if rows:
        anew = max(_anew(stage, chooser.asked[of], rows) for stage, of in zip(both, (0, arm), strict=True))
        fresh = min(1.0, anew / rows) if both[0].call.options["cache"] else 0.0
        yield replace(blank, compared=float(rows), agreed=float(agreed), fresh=fresh)


def _labelled(blank: TaskStatistics, tally: Tally, stage: CallStage, asked: int) -> Iterator[TaskStatistics]:
    """How an arm, or the reference, agreed with labels; of the rows also how many have TRUE for a label."""
    rows, agreed = tally.rows + tally.audited, tally.agreed + tally.agreed_in_audits
    if rows:
        fresh = min(1.0, _anew(stage, asked, rows) / rows) if stage.call.options["cache"] else 0.0
        known = replace(blank, compared=float(rows), agreed=float(agreed), fresh=fresh)
        kept = tally.kept_theirs * rows / tally.rows if tally.rows else 0.0
        yield replace(known, rows=float(rows), rows_true=kept) if stage.type.kind == "boolean" else known


def _anew(stage: CallStage, asked: int, compared: int) -> float:
    """In how many comparisons, at least, a stage's answer was not in the store."""
    progress = stage.caller.progress
    found = progress.cached / progress.asked if progress.asked else 1.0
    return max(0.0, asked * (1.0 - found) - (asked - compared))


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
