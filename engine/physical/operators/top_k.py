"""The operator of a ranked ``Call``: places in an order instead of answers, for an ORDER BY … LIMIT that reads nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pyarrow as pa

from ...dataflow import streams
from ...dataflow.run import QueryRun
from ...plan.nodes import TopK
from ..ranking.top_k import Order, Ranking, top_k
from .answers import Answers, Rows
from .call import WINDOW_FACTOR
from .call_stage import CallStage
from .questions import Question, key_of
from .row_judge import RowJudge
from .stepped import in_steps

Batches = AsyncIterator[pa.RecordBatch]
SEED = 0
"""Of choices by chance, the same in every run: a rerun asks the same questions, which are in the store."""


async def run_top_k(batches: Batches, stage: CallStage, run: QueryRun, wanted: TopK) -> Batches:
    """The batches with a number in the call's column that sorts the first ``wanted.rows`` rows as they were ranked.

    All rows come in before the first leaves. Rows beyond the first get a number that sorts behind them. NULL, and never asked:
    rows with a NULL argument. NULL, too: rows whose score failed.

    Raises
    ------
    OperationalError : too many questions failed, or the first one did (``on_error := 'fail'``).
    BudgetExceeded, Interrupted, ProgrammingError : always.
    """
    answers = Answers(stage.call, stage.type, run, stage.caller.progress)
    async with streams.closing(batches):
        kept = [batch async for batch in batches if batch.num_rows]
    inputs = [row for batch in kept for row in _inputs(answers, stage, batch)]
    judge = RowJudge(
        stage,
        [row or () for row in inputs],
        strict=answers.strict,
        most=WINDOW_FACTOR * stage.rows_in_flight,
        error_ratio=run.settings.llm_max_error_ratio,
    )
    keys = [None if row is None else key_of(row) for row in inputs]
    order = Order(wanted.descending, wanted.nulls_first)
    try:
        found = await in_steps(lambda asking: top_k(asking, keys, wanted.rows, wanted.algorithm, order, SEED), judge)
        questions = _questions(inputs, keys, found, wanted, judge)
        _note(stage, run, found, wanted, judge)
        at = 0
        for batch in kept:
            rows = Rows(batch, _nobody)
            for question in questions[at : at + batch.num_rows]:
                rows.add(question, new=question is not None)
            at += batch.num_rows
            yield answers.append_to(rows)
        answers.judge()
    finally:
        await answers.close()


def _inputs(answers: Answers, stage: CallStage, batch: pa.RecordBatch) -> list[Sequence[Any] | None]:
    found = answers.inputs(batch, aggregate=False)
    # A NULL that the user wrote makes every row one.
    return [None] * len(found) if None in stage.call.constants else found


def _questions(
    inputs: Sequence[Sequence[Any] | None],
    keys: Sequence[str | bytes | None],
    found: Ranking,
    wanted: TopK,
    judge: RowJudge,
) -> list[Question | None]:
    """Each row's answer: its place as a number, the failure of its score, or nothing."""
    count = len(found.rows)
    places = {
        row: (count - place) / count if wanted.descending else place / count for place, row in enumerate(found.rows)
    }
    failed = {keys[row]: error for row, error in judge.errors.items()}
    behind = 0.0 if wanted.descending else 1.0
    made: list[Question | None] = []
    for row, values in enumerate(inputs):
        question = None if values is None else Question(values)
        if question is not None:
            question.done, question.value = True, places.get(row, behind)
            question.error = failed.get(keys[row])
        made.append(question)
    return made


def _note(stage: CallStage, run: QueryRun, found: Ranking, wanted: TopK, judge: RowJudge) -> None:
    """What EXPLAIN ANALYZE says of the ranking; the user hears of comparisons that failed."""
    lost = found.failed - len(judge.errors)
    tied = sum(map(len, found.ties))
    parts = [f"{wanted.algorithm}, {found.calls:,} questions in {found.rounds:,} rounds"]
    parts += [f"{lost:,} comparisons failed"] if lost else []
    parts += [f"{tied:,} rows share a score with others"] if tied else []
    parts += ["more questions would have been asked, but for the bound"] if found.short else []
    stage.caller.progress.notes["ranking"] = "; ".join(parts)
    if lost:
        site = stage.call.site
        fate = "the other order of the two rows decided, or else chance"
        run.notice(f"{lost:,} comparisons failed in {site}: {fate}. The last one: {judge.last_failure}", about=site)


def _nobody() -> None:
    """Nobody waits for rows that are answered already."""
