"""All inputs that a first run has found, asked with full concurrency, and what came of them kept for the statement itself.

Rows and failures are counted where the statement meets them: here nobody knows how many rows have an input. So what is
remembered of a failure is the failure, and whatever makes asking on a waste only ends this phase early; the statement asks
the rest itself, and fails as it would have failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ...udfs.models.base import Request
from ...udfs.spec import Ask, Emit, Task
from ..dataflow.progress import SiteProgress
from ..dataflow.run import QueryRun
from ..errors import BudgetExceeded, Interrupted, ModelUnavailable
from .operators.answers import ENOUGH_ROWS
from .operators.call import WINDOW_FACTOR
from .operators.call_stage import CallStage
from .operators.questions import Question, Questions, key_of, weigh
from .row_batches import Input, RowBatcher

MOST_ANSWER_BYTES = 128 << 20


@dataclass(slots=True)
class Outcomes:
    """What came of the questions of one call: a value, or the row's failure."""

    known: dict[str | bytes, tuple[Any, Exception | None]] = field(default_factory=dict)
    bytes: int = 0
    failed: int = 0

    def keep(self, values: Sequence[Any], value: Any, error: Exception | None) -> None:
        """Remember one."""
        self.known[key_of(values)] = (value, error)
        self.bytes += weigh(value)
        self.failed += error is not None


class Remembered:
    """A task that knows some answers already. It asks for the others.

    Parameters
    ----------
    progress : where a row is counted whose answer another row had first.
    """

    def __init__(self, task: Task, outcomes: Outcomes, progress: SiteProgress) -> None:
        self._task, self._outcomes, self._progress = task, outcomes, progress
        self._used: set[str | bytes] = set()

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The value for one row."""
        key = key_of(row)
        outcome = self._outcomes.known.get(key)
        if outcome is None:
            return await self._task.run(row, ask)
        value, error = outcome
        if error is not None:
            raise error.with_traceback(None)
        self._progress.shared += key in self._used
        self._used.add(key)
        return value

    async def prepare(self, ask: Ask) -> None:
        """The task's own."""
        await self._task.prepare(ask)

    def preparation(self) -> Sequence[Request]:
        """The task's own."""
        return self._task.preparation()

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """The task's own."""
        return self._task.requests(row)

    def notes(self) -> Mapping[str, str]:
        """The task's own."""
        return self._task.notes()

    def example_answer(self, output: Any) -> str:
        """The task's own."""
        return self._task.example_answer(output)


async def ask_all(inputs: Iterable[Sequence[Any]], stage: CallStage, run: QueryRun) -> Outcomes:
    """Ask them, at most a window at a time.

    Raises
    ------
    Error : what would end the query wherever it is met (nobody listens, the key is wrong).
    """
    asking = _Asking(stage, run)
    try:
        await asking.all(inputs)
    except BaseException as error:
        run.fail(error)
        raise
    finally:
        await asking.close()
    return asking.outcomes


class _Asking:
    def __init__(self, stage: CallStage, run: QueryRun) -> None:
        self.outcomes = Outcomes()
        self._stage = stage
        strict = (stage.call.options.get("on_error") or run.settings.llm_on_error) == "fail"
        self._most_failed = run.settings.llm_max_error_ratio
        self._questions = Questions(self._ask, share=False, strict=strict, fatal=self._fail)
        self._batcher = RowBatcher(stage.batching, run, lambda: self._input) if stage.batching else None
        self._input: Input = "open"
        self._most = WINDOW_FACTOR * stage.rows_in_flight
        self._under_way = 0
        self._fatal: BaseException | None = None
        self._news = asyncio.Event()

    async def all(self, inputs: Iterable[Sequence[Any]]) -> None:
        """Ask them; return when all are answered, or asking on would be a waste."""
        if not await self._prepared():
            return
        for values in inputs:
            await self._until_fewer_than(self._most, "stalled")
            if self._is_vain():
                break
            self._tell("open")
            question, _ = self._questions.of(values)
            self._under_way += 1
            question.listeners.append(partial(self._answered, values, question))
        await self._until_fewer_than(1, "ended")

    async def close(self) -> None:
        """End what is under way."""
        await self._questions.close()
        if self._batcher is not None:
            await self._batcher.close()

    async def _prepared(self) -> bool:
        try:
            await self._stage.task.prepare(self._stage.caller.calibrating())
        except ModelUnavailable:
            raise
        except Exception:  # a failure of the rows that wait for it, which the statement books
            return False
        self._stage.caller.progress.notes.update(self._stage.task.notes())
        return True

    async def _until_fewer_than(self, most: int, waiting: Input) -> None:
        while self._under_way >= most and self._fatal is None:
            self._tell(waiting)
            self._news.clear()
            await self._news.wait()
        if self._fatal is not None:
            raise self._fatal

    def _is_vain(self) -> bool:
        done, failed = len(self.outcomes.known), self.outcomes.failed
        too_many = done >= ENOUGH_ROWS and failed / done > self._most_failed
        return self._questions.doomed or too_many or self.outcomes.bytes >= MOST_ANSWER_BYTES

    def _ask(self, values: Any, _emit: Emit) -> Coroutine[Any, Any, Any]:
        task = self._stage.task
        if self._batcher is None:
            return task.run(values, self._stage.caller)
        return self._batcher.row(partial(task.run, values))

    def _answered(self, values: Sequence[Any], question: Question) -> None:
        self._under_way -= 1
        if not isinstance(question.error, BudgetExceeded):
            self.outcomes.keep(values, question.value, question.error)
        self._news.set()

    def _tell(self, known: Input) -> None:
        self._input = known
        if self._batcher is not None:
            self._batcher.settle()

    def _fail(self, error: BaseException) -> None:
        if self._fatal is None:
            stopped = Interrupted("The query was stopped: its event loop is ending.")
            self._fatal = stopped if isinstance(error, asyncio.CancelledError) else error
        self._news.set()
