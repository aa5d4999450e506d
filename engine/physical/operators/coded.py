"""A call that an expression answers, which the call's own model writes from the first rows and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....optimizer.search.chooser import FIRST_WAVE
from ....udfs.models.base import Generate
from ....udfs.prompts.written_sql import Example
from ....udfs.spec import DYNAMIC, Emit
from ...errors import DataError, ModelError
from ...types import parse_type
from ..arm_tasks import WrittenTask, words
from ..expression_answers import TOO_SLOW, ExpressionAnswers
from ..expression_check import ExpressionError
from ..expression_writing import answer_words, label_of, labels_of, write
from .asker import Asker, unheard
from .call_stage import CallStage, Screened, Written

SHOWN = FIRST_WAVE
"""Rows from which the expression is written: those that select arms. Later ones prove what it is worth."""
LEAST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer, which says nothing against the arm. ``why`` : it will never give one; "": it has none yet."""

    why: str = ""


class CodedAsker:
    """Learns from the first rows, has the expression written once, and asks the reference where it does not know.

    Parameters
    ----------
    stage : of the arm. reference : who is asked otherwise; whoever made it settles and closes it.
    """

    def __init__(self, stage: CallStage, reference: Asker) -> None:
        assert isinstance(stage.task, WrittenTask)
        assert stage.written is not None
        assert stage.screened is not None
        self._stage, self._task, self._reference = stage, stage.task, reference
        self._state: Written = stage.written
        self._seen: Screened = stage.screened
        given = zip(stage.call.constants, stage.call.argument_texts, stage.call.argument_types, strict=False)
        inputs = [(text, kind) for constant, text, kind in given if constant is DYNAMIC]
        self._types = [kind for _, kind in inputs]
        self._answers = ExpressionAnswers([t for t, _ in inputs], [parse_type(k) for k in self._types], stage.type)
        self._shown: list[asyncio.Future[Example | None]] = []
        self._writing: asyncio.Task[bool] | None = None
        self._labels: Mapping[str, str] | None = None

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        if self._writing is not None or self._state.expression or len(self._shown) >= SHOWN:
            return self._answer(values, emit)
        place: asyncio.Future[Example | None] = asyncio.get_running_loop().create_future()
        self._shown.append(place)
        return self._learn(values, place)

    def settle(self) -> None:
        """See :class:`Asker`."""

    async def close(self) -> None:
        """See :class:`Asker`."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._answers.close()

    async def _learn(self, values: Sequence[Any], place: asyncio.Future[Example | None]) -> Silent:
        """The reference is asked about the row anyway."""
        answer = None
        try:
            answer = await self._reference.ask(values, unheard)
        except (ModelError, DataError):
            pass  # a row less to learn from
        finally:
            if not place.done():
                place.set_result(None if answer is None else (values, answer))
        return Silent()

    async def _answer(self, values: Sequence[Any], emit: Emit) -> Any:
        if self._writing is None:
            self._writing = asyncio.create_task(self._prepared(values))
        if not await asyncio.shield(self._writing):
            return Silent(self._state.note)
        answer = label_of(await self._answers.of(values), self._labels)
        self._seen.asked += 1
        if answer is not None:
            return answer
        self._seen.kept += 1
        if self._answers.stopped:
            self._state.note = TOO_SLOW
        return await self._reference.ask(values, emit)

    async def _prepared(self, values: Sequence[Any]) -> bool:
        """Whether there is an expression. It is made once, when the first row asks (``values``)."""
        plain = self._task.task.requests(values)[0]
        assert isinstance(plain, Generate)
        self._labels = labels_of(plain, self._stage.type, tuple(words(self._stage.call)))
        await (self._take() if self._state.expression else self._write(plain))
        return bool(self._state.expression)

    async def _take(self) -> None:
        """The expression of an earlier query."""
        try:
            await self._answers.open()
            await self._answers.tried(self._state.expression, [])
        except ExpressionError as error:
            self._state.expression, self._state.note = "", f"the expression of an earlier query cannot be run: {error}"

    async def _write(self, plain: Generate) -> None:
        heard = await asyncio.gather(*self._shown)
        # In an order of their own: a rerun asks the same, in whichever order they were answered.
        rows = sorted((each for each in heard if each is not None), key=repr)
        if len(rows) < LEAST_SHOWN:
            self._state.note = f"only {len(rows)} of the first rows have an answer"
            return
        ask, answer = self._stage.caller.calibrating(), answer_words(self._stage.type, self._labels)
        try:
            found = await write(ask, self._answers, plain, self._types, answer, rows)
        except (ModelError, DataError) as error:
            self._state.note = f"the model wrote none: {error}"
            return
        self._state.expression, self._state.note = found.expression, found.note
