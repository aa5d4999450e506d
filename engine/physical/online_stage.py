"""The students of a call, made ready to run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...optimizer.cascades.online.report import OnlineReport
from ..dataflow.run import QueryRun
from ..plan.nodes import Arm, SemanticCall
from ..plan.online import Online
from .cascading.vectors import Models, open_embedder
from .online_notes import noted
from .online_students import Task, students_of
from .operators.call_stage import CallStage, OnlineCounts, Taught
from .real_costs import paid_for


def taught(
    reference: CallStage, online: Online, run: QueryRun, models: Models, arm: Callable[[SemanticCall, Arm], CallStage]
) -> Taught:
    """Who may answer in the place of a call.

    Parameters
    ----------
    reference : the call's own stage. arm : makes the stage of the call as another model would answer it.
    """
    call, progress = reference.call, reference.caller.progress
    embedder = open_embedder(call, run, models) if online.embedding else None
    task, counts, model = Task.of(call, online, reference.caller.spec), OnlineCounts(), reference.caller.spec.name

    def tell(report: OnlineReport) -> None:
        progress.notes.update(noted(report, counts, online, model))
        if len(report.alarms) > counts.alarms:
            changed = (
                f"{call.site}: rows, or answers of {model}, have changed; its students had to prove themselves again"
            )
            run.notice(changed, about=f"students of {call.site}")

    return Taught(
        students=partial(students_of, task, run.store),
        vectors=None if embedder is None else embedder.of,
        small=arm(call, Arm(online.small, {"model": online.small})) if online.small else None,
        paid_for=partial(paid_for, reference),
        at_once=reference.caller.concurrency,
        counts=counts,
        tell=tell,
        met=lambda: run.store.students.stamp(task.key)[0],
    )
