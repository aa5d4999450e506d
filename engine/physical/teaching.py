"""``CREATE PROXY`` once rows are answered: a student learns from some, and is tested on others that it never saw."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...udfs.models.base import ModelSpec
from ..errors import ProgrammingError
from ..plan.nodes import SemanticCall
from ..store.proxies import StoredProxy
from .cascading.named import told_of
from .cascading.students import Eye, StudentProxy, judged
from .cascading.subject import subject_of
from .cascading.vectors import Embedder
from .lessons import LEAST
from .operators.call_stage import CallStage
from .operators.row_judge import in_window
from .real_costs import paid_for
from .task_keys import task_key

_AT_ONCE = 512


async def answers_there(stage: CallStage, rows: Sequence[Sequence[Any]]) -> list[bool]:
    """Per row, whether asking costs nothing."""
    return await in_window([partial(paid_for, stage, row) for row in rows], _AT_ONCE)


@dataclass(frozen=True, slots=True)
class Answered:
    """Rows with the reference's answers, those without any left out."""

    rows: Sequence[Sequence[Any]]
    answers: Sequence[Any]


async def taught(
    name: str, call: SemanticCall, spec: ModelSpec, embedder: Embedder | None, training: Answered, hold_out: Answered
) -> StoredProxy:
    """A student of the training rows, and what came of its test on the others.

    Raises
    ------
    ProgrammingError : too few rows were answered. ModelError, DataError : no row can be embedded.
    """
    _check_answers(name, len(training.answers), len(hold_out.answers))
    subject = subject_of(call)
    assert subject is not None  # see ``lessons.check_subject``
    eye = Eye(subject, embedder, words=True)
    proxy = StudentProxy(eye)
    await proxy.train(training.rows, training.answers)
    student = proxy.learnt
    said = await judged(student, eye, hold_out.rows)
    pairs = [(s.certainty, s.answer == right) for s, right in zip(said, hold_out.answers, strict=True) if s is not None]
    told, numbers = told_of(student, subject)
    return StoredProxy(
        name=name,
        function=subject.function,
        words=subject.words,
        task=task_key(call, spec),
        reference=spec.name,
        inputs=subject.inputs,
        training=len(training.answers),
        hold_out=len(pairs),
        agreed=sum(right for _, right in pairs),
        embedded_by="" if embedder is None else embedder.identity,
        told=told,
        numbers=numbers,
        tested=np.array(pairs, dtype="<f4").tobytes(),
        created_at=time.time(),
    )


def _check_answers(name: str, training: int, hold_out: int) -> None:
    if training < LEAST or not hold_out:
        raise ProgrammingError(
            f"Proxy {name} needs {LEAST} answers to learn from, and has {training:,} (and {hold_out:,} to be tested on): the others "
            "failed, or a cap ended the query. llm_errors() has the reasons; the answers that came are kept for the next try."
        )
