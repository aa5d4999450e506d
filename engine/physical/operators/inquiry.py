"""What a window of rows asks about each row, and what it makes of the answers: those of one call, or of other things alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from ...dataflow.run import QueryRun
from ..row_batches import Input
from .answers import Answers, Rows
from .armed import ArmedAsker
from .asker import Asker, StageAsker
from .call_stage import Armed, CallStage
from .checked import CheckedAsker
from .coded import CodedAsker
from .followed import FollowedAsker
from .labelled import LabelledAsker
from .leaving import Leaving
from .merged import merged_asker
from .mixed import MixedAsker
from .online import MOST, OnlineAsker
from .routed import RoutedAsker, WeighingAsker

Fatal = Callable[[BaseException], None]
STUDENTS_ROWS = MOST // 4
"""Rows in flight where students answer: a micro-batch has to find room in the window, and another one behind it."""


class Inquiry(Protocol):
    """One question a row.

    Attributes
    ----------
    share : whether equal rows are one question. strict : the first failed row fails the query.
    rows_in_flight : rows whose answers may be made at once.
    """

    @property
    def share(self) -> bool: ...
    @property
    def strict(self) -> bool: ...
    @property
    def rows_in_flight(self) -> int: ...

    def inputs(self, batch: pa.RecordBatch) -> list[Sequence[Any] | None]:
        """Per row what to ask with; ``None``: its answer is known to be NULL."""
        ...

    def count(self, questions: int) -> None:
        """So many that were not asked before have come."""
        ...

    def asker(self, rows_to_come: Callable[[], Input], *, hears: bool, fatal: Fatal) -> Asker:
        """Who answers. ``rows_to_come`` : what is known of them. ``hears``, ``fatal`` : see ``StageAsker``."""
        ...

    def batch(self, rows: Rows, leaving: Leaving) -> pa.RecordBatch:
        """Answered rows as they leave; they are booked."""
        ...

    def judge(self) -> None:
        """Raise if too many rows failed."""
        ...

    async def close(self) -> None:
        """All that is to be said of the rows is said."""
        ...


class CallInquiry:
    """The question of one call. Parameters: its stage, and the query."""

    def __init__(self, stage: CallStage, run: QueryRun) -> None:
        self._stage, self._run = stage, run
        self._answers = Answers(stage.call, stage.type, run, stage.caller.progress)
        self.share, self.strict, self.rows_in_flight = stage.call.distinct, self._answers.strict, stage.rows_in_flight
        if stage.taught is not None:
            self.rows_in_flight = max(stage.rows_in_flight, STUDENTS_ROWS)

    def inputs(self, batch: pa.RecordBatch) -> list[Sequence[Any] | None]:
        """See :class:`Inquiry`."""
        return self._answers.inputs(batch, self._stage.aggregate)

    def count(self, questions: int) -> None:
        """See :class:`Inquiry`."""
        self._stage.caller.progress.inputs += questions

    def asker(self, rows_to_come: Callable[[], Input], *, hears: bool, fatal: Fatal) -> Asker:
        """See :class:`Inquiry`."""
        made: list[Asker] = []
        if self._stage.held is not None:
            rows_to_come = self._stage.held(rows_to_come, lambda: made[0].settle())
        made.append(self._asker(rows_to_come, hears=hears, fatal=fatal))
        return made[0]

    def _asker(self, rows_to_come: Callable[[], Input], *, hears: bool, fatal: Fatal) -> Asker:
        armed = self._stage.armed

        def known() -> Input:
            return "open" if armed is not None and armed.questions.deciding else rows_to_come()

        def asker(stage: CallStage, fatal: Fatal) -> StageAsker:
            return StageAsker(stage, self._run, input=known, hears=hears, fatal=fatal)

        def weighing(stage: CallStage) -> StageAsker:
            return WeighingAsker(stage, self._run, input=rows_to_come, hears=False, fatal=_let_be)

        reference = asker(self._stage, fatal)
        # That nobody is there to answer for an arm is no reason to end: the reference may.
        other = partial(asker, fatal=_let_be)
        own: Asker = reference
        if armed is not None:
            askers = [reference, *(arm_asker(arm, reference, other) for arm in armed.stages)]
            own = _armed_asker(askers, armed)
        if (routed := self._stage.routed) is not None:
            own = RoutedAsker(reference, [weighing(arm) for arm in routed.stages], routed)
        if self._stage.taught is not None:
            own = OnlineAsker(reference, self._stage.taught, self._run, rows_to_come)
        part = self._stage.merged
        return own if part is None else merged_asker(part.number, part.group(), own, other)

    def batch(self, rows: Rows, leaving: Leaving) -> pa.RecordBatch:
        """See :class:`Inquiry`."""
        return leaving.batch(rows, self._answers)

    def judge(self) -> None:
        """See :class:`Inquiry`."""
        self._answers.judge()

    async def close(self) -> None:
        """See :class:`Inquiry`."""
        await self._answers.close()


def _armed_asker(askers: Sequence[Asker], armed: Armed) -> Asker:
    if armed.judged is not None:
        return LabelledAsker(askers, armed, armed.judged)
    return ArmedAsker(askers, armed) if armed.follows is None else FollowedAsker(askers, armed, armed.follows)


def arm_asker(arm: CallStage, reference: Asker, asker: Callable[[CallStage], Asker]) -> Asker:
    """Who answers for an arm; ``asker`` : who answers for one stage."""
    if arm.screened is None:
        return asker(arm)
    if arm.written is not None:
        return CodedAsker(arm, reference)
    if arm.beside:
        return MixedAsker([asker(arm), *map(asker, arm.beside)], reference, arm.screened)
    return CheckedAsker(asker(arm), reference, arm.screened)


def _let_be(error: BaseException) -> None:
    del error
