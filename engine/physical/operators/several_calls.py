"""What inquiries of several calls a row have in common: every call keeps its own books of the rows that reached it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pyarrow as pa

from ...dataflow import streams
from ...dataflow.demand import Demand
from ...dataflow.run import QueryRun
from .answers import Answers
from .call import run_inquiry
from .call_stage import CallStage
from .inquiry import Inquiry
from .leaving import AsAnswered, InOrder

Batches = AsyncIterator[pa.RecordBatch]


class SeveralCalls:
    """The part of an ``Inquiry`` that is the same, whichever call is asked when.

    Parameters
    ----------
    stages : the calls. run : the query.
    """

    strict = False

    def __init__(self, stages: Sequence[CallStage], run: QueryRun) -> None:
        self._stages, self._run = stages, run
        self._answers = [Answers(s.call, s.type, run, s.caller.progress) for s in stages]
        self.share = all(stage.call.distinct for stage in stages)
        self.rows_in_flight = max(stage.rows_in_flight for stage in stages)

    def count(self, questions: int) -> None:
        """Nothing: each call counts its own."""

    def judge(self) -> None:
        """See ``Inquiry``."""
        for answers in self._answers:
            answers.judge()

    async def close(self) -> None:
        """See ``Inquiry``."""
        for answers in self._answers:
            await answers.close()


async def rows_that_stay(batches: Batches, inquiry: Inquiry, *, free: bool, demand: Demand | None) -> Batches:
    """What an inquiry lets through, batches without rows left out.

    Parameters
    ----------
    free : nobody needs the rows in any order. demand : the LIMIT above, if no call below takes rows for it.
    """
    leaving = AsAnswered if free else InOrder
    async with streams.closing(run_inquiry(batches, inquiry, demand, leaving=leaving)) as kept:
        async for batch in kept:
            if batch.num_rows:
                yield batch
