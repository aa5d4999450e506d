"""From rows to questions, and from answers and failures to the output column."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import repeat
from typing import Any, TypeVar

import pyarrow as pa

from ....udfs.models.tries import tries_of
from ...dataflow.progress import SiteProgress
from ...dataflow.run import QueryRun
from ...errors import BudgetExceeded, DataError, Error, OperationalError
from ...plan.nodes import SemanticCall
from ...store.records import RowError
from ...types import SqlType, to_arrow
from .questions import Question

E = TypeVar("E", bound=Exception)

ENOUGH_ROWS = 20
"""Rows asked before ``llm_max_error_ratio`` is judged: a ratio of fewer says little."""


class Rows:
    """A micro-batch under way: per row its question, or ``None`` where the answer is NULL without one.

    Parameters
    ----------
    batch : the rows. finished : called when the last question is answered. size : in bytes, where it is known.
    """

    __slots__ = ("_finished", "asked", "batch", "bytes", "questions", "unanswered")

    def __init__(self, batch: pa.RecordBatch, finished: Callable[[], None], size: int | None = None) -> None:
        self.batch = batch
        self.bytes: int = batch.nbytes if size is None else size
        self.questions: list[Question | None] = []
        self.asked = 0
        self.unanswered = 0
        self._finished = finished

    def add(self, question: Question | None, new: bool) -> None:
        """The next row's question; ``new``: it was not asked before."""
        self.questions.append(question)
        self.asked += new
        if question is not None and not question.done:
            self.unanswered += 1
            question.listeners.append(self._heard)

    def _heard(self) -> None:
        self.unanswered -= 1
        if not self.unanswered:
            self._finished()


class Answers:
    """Reads arguments, builds the output column, and keeps the books of rows and failures.

    Parameters
    ----------
    call, output_type : the call and the SQL type of its output column (a STRUCT of value and error under
        ``on_error := 'details'``). run : the query. progress : counters to keep.

    Attributes
    ----------
    strict : the first failed row fails the query.
    """

    def __init__(self, call: SemanticCall, output_type: SqlType, run: QueryRun, progress: SiteProgress) -> None:
        self._call, self._run, self._progress = call, run, progress
        self._on_error = call.options.get("on_error") or run.settings.llm_on_error
        self.strict = self._on_error == "fail"
        self._details = self._on_error == "details"
        self._type = output_type
        self._last_error = ""
        self._last_line: Future[None] | None = None

    def inputs(self, batch: pa.RecordBatch, aggregate: bool) -> list[Sequence[Any] | None]:
        """Per row the arguments to ask with, or ``None``: an argument is NULL, or the guard is not TRUE."""
        self._progress.rows_in += batch.num_rows
        return inputs_of(self._call, batch, aggregate=aggregate)

    def append_to(self, rows: Rows) -> pa.RecordBatch:
        """The micro-batch with its answers, all of which are there; raises as ``booked`` does."""
        column = self.booked(rows.questions)
        return rows.batch.append_column(pa.field(self._call.output.name, column.type), column)

    def booked(self, questions: Sequence[Question | None]) -> pa.Array:
        """The answers of rows, all of which are there, as a column; ``None``: NULL without a question.

        Raises
        ------
        BudgetExceeded, OperationalError : see ``run_call``.
        """
        values = [None if question is None else self._value(question, row) for row, question in enumerate(questions)]
        column = self._column(values, questions)
        self._progress.rows_done += len(values)
        if self._type.kind == "boolean":
            self._progress.rows_true += values.count(True)
        self._progress.rows_null += sum(question is None for question in questions)
        if self._asked() >= ENOUGH_ROWS:
            self.judge()
        return column

    def fits(self, value: Any) -> bool:
        """Whether a value fits the output column."""
        try:
            to_arrow([value], self._type)
        except _UNFIT:
            return False
        return True

    def append_lists(self, batch: pa.RecordBatch, values: list[Any]) -> pa.RecordBatch:
        """Rows with values that fit, which are no answers yet: nothing is booked."""
        column = to_arrow(values, self._type)
        return batch.append_column(pa.field(self._call.output.name, column.type), column)

    def judge(self) -> None:
        """Raise if more rows failed than ``llm_max_error_ratio`` allows."""
        limit, failed, asked = self._run.settings.llm_max_error_ratio, self._progress.failed, self._asked()
        if asked and failed / asked > limit:
            raise OperationalError(
                f"{self._call.site}: {failed} of {asked} rows failed, more than llm_max_error_ratio = {limit:g}. "
                f"The reasons are in llm_errors(); the last one: {self._last_error}"
            )

    async def close(self) -> None:
        """Add the notice, and wait until the error ledger is written (it is, in order, when its last line is)."""
        failed, site = self._progress.failed, self._call.site
        if self._last_line is None:
            return
        rows = "1 row" if failed == 1 else f"{failed} rows"
        fate = "" if self._details else " and is NULL" if failed == 1 else " and are NULL"
        self._run.notice(f"{rows} failed in {site}{fate}: see llm_errors()", about=site)
        await asyncio.wait({asyncio.wrap_future(self._last_line)})

    def _asked(self) -> int:
        return self._progress.rows_done - self._progress.rows_null

    def _value(self, question: Question, row: int) -> Any:
        if question.error is None:
            return {"value": question.value, "error": None} if self._details else question.value
        return self._failure(question.error, question, row)

    def _failure(self, error: Exception, question: Question, row: int) -> Any:
        """What a failed row becomes; books it. ``row`` counts from the last row that is done."""
        if isinstance(error, BudgetExceeded):
            raise error
        self._progress.failed += 1
        self._last_error = str(error)
        self._last_line = self._run.store.save_error(
            RowError(
                time.time(),
                self._run.query_id,
                self._call.site,
                self._call.function,
                self._progress.model,
                question.preview,
                str(error),
                None if self._call.rows_by_prefix else self._progress.rows_done + row + 1,
                question.digest or None,
                tries_of(error),
            )
        )
        if self.strict:
            raise with_place(error, f"{self._call.site} failed on input {question.preview!r}") from error
        return {"value": None, "error": str(error)} if self._details else None

    def _column(self, values: list[Any], questions: Sequence[Question | None]) -> pa.Array:
        try:
            return to_arrow(values, self._type)
        except _UNFIT:
            # Rare, and the row's own failure: find the rows that do not fit.
            return to_arrow(
                [
                    self._fitting(value, asked, i)
                    for i, (value, asked) in enumerate(zip(values, questions, strict=True))
                ],
                self._type,
            )

    def _fitting(self, value: Any, question: Question | None, row: int) -> Any:
        try:
            to_arrow([value], self._type)
        except _UNFIT as error:
            answer = value["value"] if self._details else value
            reason = DataError(f"The answer {answer!r:.80} does not fit {self._type}: {error}")
            assert question is not None  # a NULL fits everything
            return self._failure(reason, question, row)
        return value


def inputs_of(call: SemanticCall, batch: pa.RecordBatch, *, aggregate: bool) -> list[Sequence[Any] | None]:
    """Per row the arguments to ask with, or ``None``: an argument is NULL, or the guard is not TRUE."""
    columns = [_values(batch.column(name)) for name in call.arguments]
    if aggregate:
        columns[0] = [_without_nulls(values) for values in columns[0]]
    tuples = zip(*columns, strict=True) if columns else repeat((), batch.num_rows)
    if call.guard is None:
        return [_whole(values) for values in tuples]
    guard = batch.column(call.guard).to_pylist()
    return [_whole(values) if wanted else None for values, wanted in zip(tuples, guard, strict=True)]


_UNFIT = (ValueError, TypeError, OverflowError, ArithmeticError, pa.ArrowException)


def _whole(values: Sequence[Any]) -> Sequence[Any] | None:
    return None if None in values else values


def _values(column: pa.Array) -> list[Any]:
    """The column's Python values; a MAP is a mapping where Python can have its keys, and pairs where it cannot."""
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except (KeyError, TypeError):
        values = column.to_pylist()
    return values


def _without_nulls(values: Sequence[Any] | None) -> list[Any] | None:
    """The elements that are there; ``None`` if there are none."""
    return [value for value in values if value is not None] or None if values else None


def with_place(error: E, place: str) -> E:
    """The same error, its message led by where it happened."""
    moved = copy.copy(error)
    moved.args = (f"{place}: {error}",)
    if isinstance(moved, Error):
        moved.message = moved.args[0]
    return moved
