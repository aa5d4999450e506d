"""The operator of a ``Conjunction`` node: rows that several calls say TRUE to."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ....optimizer.ordering.adaptive import Tuning
from ...dataflow.demand import Demand
from ...dataflow.run import QueryRun
from ..question_costs import QuestionCosts
from ..row_batches import Input
from .answers import Rows, inputs_of
from .asker import StageAsker
from .call_stage import CallStage
from .conjunct_asker import ConjunctAsker
from .kept import Kept, for_demand
from .leaving import Leaving
from .questions import Question
from .several_calls import SeveralCalls, rows_that_stay


@dataclass(frozen=True, slots=True)
class Conjunct:
    """What to ask of each row, and what leaves.

    Parameters
    ----------
    stages : of the calls, whose answers are BOOLEAN. schema : of the rows that leave: columns that came, and answers.
    tuning : of how their order is learnt.
    """

    stages: tuple[CallStage, ...]
    schema: pa.Schema
    tuning: Tuning = field(default_factory=Tuning)

    def kept(self, batch: pa.RecordBatch, stays: Sequence[bool]) -> pa.RecordBatch:
        """Some of the rows; each call has said TRUE to them."""
        rows = batch.filter(pa.array(stays, pa.bool_()))
        true = pa.array([True] * rows.num_rows, pa.bool_())
        answers = {stage.call.output.name for stage in self.stages}
        columns = [true if name in answers else rows.column(name) for name in self.schema.names]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def run_conjunction(
    batches: AsyncIterator[pa.RecordBatch],
    conjunct: Conjunct,
    run: QueryRun,
    *,
    free: bool,
    demand: Demand | None = None,
    wanted: Demand | None = None,
) -> AsyncIterator[pa.RecordBatch]:
    """Rows that pass, in their order; errors as of ``run_call``. ``free`` : nobody needs the rows in any order.
    ``wanted`` : the LIMIT above, told of rows that are dropped. ``demand`` : the same, if no call below takes rows for it."""
    return rows_that_stay(batches, _Inquiry(conjunct, run, for_demand(wanted)), free=free, demand=demand)


class _Inquiry(SeveralCalls):
    """Which rows pass; see ``Inquiry``."""

    def __init__(self, conjunct: Conjunct, run: QueryRun, kept: Kept | None) -> None:
        super().__init__(conjunct.stages, run)
        self._conjunct, self._kept = conjunct, kept

    def inputs(self, batch: pa.RecordBatch) -> list[Sequence[Any] | None]:
        """Per row the arguments of each call; ``None``: a call is NULL without being asked, so the row cannot pass."""
        columns = [inputs_of(stage.call, batch, aggregate=False) for stage in self._stages]
        for stage, column in zip(self._stages, columns, strict=True):
            nulls = sum(values is None for values in column)
            progress = stage.caller.progress
            progress.rows_in += nulls
            progress.rows_done += nulls
            progress.rows_null += nulls
        return [None if None in values else values for values in zip(*columns, strict=True)]

    def asker(
        self, rows_to_come: Callable[[], Input], *, hears: bool, fatal: Callable[[BaseException], None]
    ) -> ConjunctAsker:
        """Who asks the rows."""
        askers = [StageAsker(s, self._run, input=rows_to_come, hears=hears, fatal=fatal) for s in self._stages]
        costs, seed = QuestionCosts(self._stages).of, seed_of(self._stages)
        return ConjunctAsker(self._stages, askers, costs, seed, fatal, tuning=self._conjunct.tuning)

    def batch(self, rows: Rows, leaving: Leaving) -> pa.RecordBatch:
        """Those that pass; all are booked, each where it was asked."""
        del leaving
        reached: list[list[Question]] = [[] for _ in self._stages]
        stays = []
        for question in rows.questions:
            stays.append(question is not None and self._passes(question, reached))
        for answers, stage, asked in zip(self._answers, self._stages, reached, strict=True):
            stage.caller.progress.rows_in += len(asked)
            answers.booked(asked)
        left = self._conjunct.kept(rows.batch, stays)
        if self._kept is not None:
            self._kept(rows.batch, left)
        return left

    def _passes(self, question: Question, reached: Sequence[list[Question]]) -> bool:
        if question.error is not None:  # the budget's: a row's own are its calls'
            raise question.error
        for place, asked in question.value:
            reached[place].append(asked)
        true = sum(asked.error is None and asked.value is True for _, asked in question.value)
        return true == len(reached)


def seed_of(stages: Sequence[CallStage]) -> int:
    """The same for the same query."""
    words = [(s.call.site, s.call.function, s.call.constants, s.call.argument_texts) for s in stages]
    return int.from_bytes(hashlib.blake2b(repr(words).encode(errors="surrogatepass"), digest_size=6).digest(), "big")
