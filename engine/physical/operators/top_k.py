"""The operator of a ranked ``Call``: places in an order instead of answers, for an ORDER BY … LIMIT that reads nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from ....udfs.prompts.ranking_option import POINTWISE
from ...dataflow import streams
from ...dataflow.run import QueryRun
from ...plan.nodes import TopK
from ..ranking.top_k import Order, Ranking, top_k
from .answers import Answers, Rows
from .call import WINDOW_FACTOR
from .call_stage import CallStage
from .questions import Question, key_of
from .row_judge import RowJudge
from .screened import FirstRows, Screen, ScreenedJudge
from .stepped import in_steps

Batches = AsyncIterator[pa.RecordBatch]
SEED = 0
"""Of choices by chance, the same in every run: a rerun asks the same questions, which are in the store."""


async def run_top_k(batches: Batches, stage: CallStage, run: QueryRun, wanted: TopK) -> Batches:
    """The batches with a number in the call's column that sorts the first ``wanted.rows`` rows as they were ranked.

    All rows come in before the first leaves. Rows beyond the first get a number that sorts behind them. NULL, and never asked:
    rows with a NULL argument. NULL, too: rows whose score failed. ``pointwise``: the number of the first rows is their score.

    Raises
    ------
    OperationalError : too many questions failed, or the first one did (``on_error := 'fail'``).
    BudgetExceeded, Interrupted, ProgrammingError : always.
    """
    answers = Answers(stage.call, stage.type, run, stage.caller.progress)
    async with streams.closing(batches):
        kept = [batch async for batch in batches if batch.num_rows]
    inputs = [row for batch in kept for row in _inputs(answers, stage, batch)]
    judge = _judge(stage, inputs, strict=answers.strict, error_ratio=run.settings.llm_max_error_ratio)
    keys = [None if row is None else key_of(row) for row in inputs]
    screened = ScreenedJudge(judge, *_screens(stage, inputs, keys, wanted), keys, _look(stage, inputs), SEED)
    order = Order(wanted.descending, wanted.nulls_first)
    try:
        found = await in_steps(lambda asking: top_k(asking, keys, wanted.rows, wanted.algorithm, order, SEED), screened)
        numbers = _scores(screened, keys) if wanted.algorithm == POINTWISE else _places(found, wanted, len(keys))
        questions = _questions(inputs, keys, numbers, judge)
        _note(stage, run, found, wanted, judge, screened)
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


def _judge(stage: CallStage, inputs: Sequence[Sequence[Any] | None], *, strict: bool, error_ratio: float) -> RowJudge:
    rows = [row or () for row in inputs]
    return RowJudge(stage, rows, strict=strict, most=WINDOW_FACTOR * stage.rows_in_flight, error_ratio=error_ratio)


def _screens(
    stage: CallStage, inputs: Sequence[Sequence[Any] | None], keys: Sequence[str | bytes | None], wanted: TopK
) -> tuple[Sequence[Screen], FirstRows]:
    """Who may screen, and what for."""
    copies = Counter(key for key in keys if key is not None)
    arms, armed = stage.call.arms, stage.armed
    recall = 1.0 if arms is None else 1.0 - arms.loss
    needed = FirstRows(wanted.rows, recall, max(copies.values(), default=1), wanted.descending)
    if armed is None:
        return (), needed
    made = enumerate(zip(armed.names[1:], armed.stages, strict=True), 1)
    # What a screen is not asked for, or fails at, the reference is asked: none of its failures is the query's.
    screens = [
        Screen(name, _judge(arm, inputs, strict=False, error_ratio=1.0), partial(_price, stage, number))
        for number, (name, arm) in made
    ]
    return screens, needed


def _price(stage: CallStage, arm: int) -> float:
    """Of a screen's score, in those of the reference. One that costs nothing has been answered before."""
    assert stage.armed is not None
    costs = stage.armed.chooser.costs()
    return costs[arm] / costs[0] if costs[0] else 0.0


def _look(stage: CallStage, inputs: Sequence[Sequence[Any] | None]) -> Callable[[int], None]:
    armed = stage.armed
    return (lambda _: None) if armed is None else (lambda row: armed.costs.look(inputs[row] or ()))


def _scores(screened: ScreenedJudge, keys: Sequence[str | bytes | None]) -> list[float | None]:
    """By row, as far as they are known."""
    known = {keys[row]: score for row, score in screened.scores.items()}
    return [known.get(key, screened.wanted.behind) for key in keys]


def _places(found: Ranking, wanted: TopK, rows: int) -> list[float | None]:
    """By row, its place as a number."""
    count = len(found.rows)
    behind = 0.0 if wanted.descending else 1.0
    places = {
        row: (count - place) / count if wanted.descending else place / count for place, row in enumerate(found.rows)
    }
    return [places.get(row, behind) for row in range(rows)]


def _questions(
    inputs: Sequence[Sequence[Any] | None],
    keys: Sequence[str | bytes | None],
    numbers: Sequence[float | None],
    judge: RowJudge,
) -> list[Question | None]:
    """Each row's answer: its number, the failure of its score, or nothing."""
    failed = {keys[row]: error for row, error in judge.errors.items()}
    made: list[Question | None] = []
    for row, values in enumerate(inputs):
        question = None if values is None else Question(values)
        if question is not None:
            question.done, question.value = True, numbers[row]
            question.error = failed.get(keys[row])
        made.append(question)
    return made


def _note(
    stage: CallStage, run: QueryRun, found: Ranking, wanted: TopK, judge: RowJudge, screened: ScreenedJudge
) -> None:
    """What EXPLAIN ANALYZE says of the ranking; the user hears of comparisons that failed."""
    lost = found.failed - len(judge.errors)
    tied = sum(map(len, found.ties))
    if stage.armed is not None:
        stage.armed.chooser.asked[:] = [
            len(screened.scores),
            *(arm.caller.progress.asked - arm.caller.progress.calibration for arm in stage.armed.stages),
        ]
    parts = [f"{wanted.algorithm}, {found.calls - screened.spared:,} questions in {found.rounds:,} rounds"]
    parts += [screened.note] if screened.note else []
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
