"""A call that several arms may answer: they are compared while rows are answered, and the best that is good enough serves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from ....optimizer.search.assignment import Assignment
from ....udfs.spec import Emit
from ...errors import DataError, Error, ModelError
from .asker import Asker, unheard
from .call_stage import Armed
from .coded import Silent
from .line import Line

T = TypeVar("T")


class ArmedAsker:
    """Asks whom the chooser names. Rows wait while a wave of comparisons is under way.

    Parameters
    ----------
    askers : the reference first. armed : the chooser, who is told what came of it.
    """

    def __init__(self, askers: Sequence[Asker], armed: Armed) -> None:
        self._askers, self._armed, self._chooser = askers, armed, armed.chooser
        self._line = Line(armed.chooser, armed.questions, self._begins)

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        return self._answer(self._line.place(values), values, emit)

    def settle(self) -> None:
        """See :class:`Asker`."""
        for asker in self._askers:
            asker.settle()

    async def close(self) -> None:
        """See :class:`Asker`."""
        for asker in self._askers:
            await asker.close()

    def _begins(self, assignment: Assignment, values: Sequence[Any]) -> None:
        """In the order of rows: what arms cost is known from the first that are compared."""
        self._armed.questions.deciding += 1
        if assignment.phase == "profile":
            # If no request can be made of it, whoever asks the row will say so.
            with suppress(Error, ValueError, TypeError, AttributeError, LookupError):
                self._armed.costs.look(values)

    async def _answer(self, place: asyncio.Future[Assignment], values: Sequence[Any], emit: Emit) -> Any:
        assignment = await place
        if assignment.phase == "serve":
            return await self._or_reference(await self._deciding(self._who(assignment, values)), values, emit)
        return await self._compared(await self._deciding(self._worth(assignment, values)), values, emit)

    async def _deciding(self, looks: Coroutine[Any, Any, T]) -> T:
        """What is looked up before a row asks. Until then it is one that may yet share a prompt."""
        try:
            return await looks
        finally:
            self._armed.questions.deciding -= 1
            self.settle()

    async def _who(self, assignment: Assignment, values: Sequence[Any]) -> int:
        return await self._instead(assignment.serve, values)

    async def _worth(self, assignment: Assignment, values: Sequence[Any]) -> Assignment:
        del values
        return assignment

    async def _served(self, arm: int, values: Sequence[Any], emit: Emit) -> Any:
        return await self._or_reference(await self._instead(arm, values), values, emit)

    async def _instead(self, arm: int, values: Sequence[Any]) -> int:
        """The reference, if its answer has been paid for."""
        if not arm or not await self._paid_for(values):
            return arm
        self._chooser.asked[arm] -= 1
        self._chooser.asked[0] += 1
        return 0

    async def _or_reference(self, arm: int, values: Sequence[Any], emit: Emit) -> Any:
        """An arm's answer; the reference's, where it has none."""
        try:
            return await self._askers[arm].ask(values, emit)
        except (ModelError, DataError):
            if not arm:
                raise
            return await self._askers[0].ask(values, emit)

    async def _paid_for(self, values: Sequence[Any]) -> bool:
        return await self._armed.paid_for(values)

    def _learn(self, assignment: Assignment, values: Sequence[Any], answers: Mapping[int, Any]) -> None:
        del values
        self._chooser.learn(assignment, answers)

    async def _compared(self, assignment: Assignment, values: Sequence[Any], emit: Emit) -> Any:
        # What one of the others writes is no guess of the row's answer.
        ears = [emit if arm == assignment.serve else unheard for arm in assignment.arms]
        asked = [self._askers[arm].ask(values, ear) for arm, ear in zip(assignment.arms, ears, strict=True)]
        came = await asyncio.gather(*asked, return_exceptions=True)
        said = dict(zip(assignment.arms, came, strict=True))
        for result in came:
            if isinstance(result, BaseException) and not isinstance(result, ModelError | DataError):
                raise result
        self._learn(self._heard(assignment, said), values, _answers(said))
        self._line.move_on()
        if isinstance(failed := said[assignment.serve], BaseException):
            raise failed
        return said[assignment.serve]

    def _heard(self, assignment: Assignment, said: Mapping[int, Any]) -> Assignment:
        """The row as it was assigned, but to arms that have something to say by now; those that never will are out."""
        silent = {arm: answer for arm, answer in said.items() if isinstance(answer, Silent)}
        for arm, answer in silent.items():
            self._chooser.asked[arm] -= 1
            self._chooser.tallies[arm].why = answer.why or self._chooser.tallies[arm].why
        return replace(assignment, arms=tuple(arm for arm in assignment.arms if arm not in silent))


def _answers(said: Mapping[int, Any]) -> dict[int, Any]:
    return {arm: answer for arm, answer in said.items() if not isinstance(answer, BaseException)}
