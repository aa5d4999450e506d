"""When a call is told that its rows end: at a row, and not at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pyarrow as pa

from ..dataflow import streams
from .operators.call_stage import CallStage
from .rows_to_come import Questions

Batches = AsyncIterator[pa.RecordBatch]


def of_stage(stage: CallStage, batches: Batches) -> Batches:
    """The rows that the lowest call reads; where arms may answer it, or its group, their choosers know how many there are."""
    return batches if stage.armed is None and stage.merged is None else _known(stage, batches)


async def _known(stage: CallStage, batches: Batches) -> Batches:
    """Each batch once it is known whether another follows: that the rows end is known from the first row of the last batch on, however
    long answers took until then. Of rows before it is known what somebody expects."""
    progress, questions = stage.caller.progress, _questions(stage)
    rows, total, held = progress.rows_in, progress.rows_total, None
    questions.know(total)
    async with streams.closing(batches):
        async for batch in batches:
            rows += batch.num_rows
            if held is not None:
                yield held
            held = batch
        if held is not None:
            questions.know(rows)
            yield held


def _questions(stage: CallStage) -> Questions:
    if stage.armed is not None:
        return stage.armed.questions
    assert stage.merged is not None
    return stage.merged.group().questions
