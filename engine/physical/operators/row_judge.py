"""The judge of a ranking that asks a model: about single rows and about pairs, a bounded number at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from ....udfs.spec import Compares
from ...errors import DataError, ModelError, OperationalError
from .answers import ENOUGH_ROWS
from .call_stage import CallStage
from .patience import Patience
from .questions import preview_of

T = TypeVar("T")


class RowJudge:
    """Answers a :class:`~..ranking.judge.Judge`'s questions about the rows of one call site.

    A failed question is an answer that is missing. It ends the query if failures end it (``on_error := 'fail'``), if nobody is
    there to answer, or if more comparisons fail than ``llm_max_error_ratio`` allows.

    Parameters
    ----------
    stage : whose task knows the questions. rows : their arguments, by number. strict : the first failure ends the query.
    most : questions under way. error_ratio : share of comparisons that may fail.

    Attributes
    ----------
    errors : of scores that failed, by row. last_failure : of a comparison, in words; "": none failed.
    """

    def __init__(
        self, stage: CallStage, rows: Sequence[Sequence[Any]], *, strict: bool, most: int, error_ratio: float
    ) -> None:
        assert isinstance(stage.task, Compares)
        self._task, self._pairs, self._stage, self._rows = stage.task, stage.task, stage, rows
        self._most, self._error_ratio = most, error_ratio
        self._patience = Patience(stage.call.site, strict=strict)
        self._scoring = self._pairing = False
        self._compared = self._failed = 0
        self.errors: dict[int, Exception] = {}
        self.last_failure = ""

    async def compare(self, pairs: Sequence[tuple[int, int]]) -> Sequence[float | None]:
        """See :class:`~..ranking.judge.Judge`."""
        if not self._pairing:
            await self._pairs.prepare_pairs(self._stage.caller.calibrating())
            self._pairing = True
        answers = await in_window([partial(self._compared_pair, a, b) for a, b in pairs], self._most)
        self._compared += len(answers)
        self._failed += answers.count(None)
        if self._compared >= ENOUGH_ROWS and self._failed / self._compared > self._error_ratio:
            raise OperationalError(
                f"{self._stage.call.site}: {self._failed} of {self._compared} comparisons failed, more than "
                f"llm_max_error_ratio = {self._error_ratio:g}; the last one: {self.last_failure}"
            )
        return answers

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        """See :class:`~..ranking.judge.Judge`."""
        if not self._scoring:
            await self._task.prepare(self._stage.caller.calibrating())
            self._scoring = True
        return await in_window([partial(self._scored_row, row) for row in rows], self._most)

    async def _compared_pair(self, a: int, b: int) -> float | None:
        first, second = self._rows[a], self._rows[b]
        try:
            answer = await self._pairs.compare(first, second, self._stage.caller)
        except (ModelError, DataError) as error:
            self._patience.bear(error, f"{preview_of(first)}' beside '{preview_of(second)}")
            self.last_failure = str(error)
            return None
        self._patience.answered()
        return answer

    async def _scored_row(self, row: int) -> float | None:
        try:
            score: float | None = await self._task.run(self._rows[row], self._stage.caller)
        except (ModelError, DataError) as error:
            self._patience.bear(error, preview_of(self._rows[row]))
            self.errors[row] = error
            return None
        self._patience.answered()
        return score


async def in_window(questions: Sequence[Callable[[], Awaitable[T]]], most: int) -> list[T]:
    """The answers in order, ``most`` under way at once. What one raises ends the others, and is raised."""
    answers: dict[int, T] = {}
    left = iter(enumerate(questions))

    async def work() -> None:
        for place, question in left:
            answers[place] = await question()

    workers = [asyncio.create_task(work()) for _ in range(min(most, len(questions)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [answers[place] for place in range(len(questions))]
