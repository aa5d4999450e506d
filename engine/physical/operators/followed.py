"""A call that several arms may answer, where what they really cost is followed: who serves may change while rows are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from ....optimizer.search.assignment import Assignment
from ....optimizer.search.chooser import FIRST_WAVE
from ....optimizer.search.spending import BLOCK
from ....udfs.spec import Emit
from ...errors import DataError, ModelError
from .armed import ArmedAsker
from .asker import Asker
from .billed import BILL, Bill
from .call_stage import Armed, Followed

BILLS: ContextVar[dict[int, Bill] | None] = ContextVar("anser_bills", default=None)
"""Of the row that is being answered, by arm."""


class FollowedAsker(ArmedAsker):
    """Tells what each arm's answers cost, and takes what has been paid for already from whoever may serve.

    Parameters
    ----------
    askers : the reference first. armed : the chooser, who is told what came of it. follows : told of bills.
    """

    def __init__(self, askers: Sequence[Asker], armed: Armed, follows: Followed) -> None:
        super().__init__([_Billed(arm, asker, follows) for arm, asker in enumerate(askers)], armed)
        self._follows, self._rerun = follows, not armed.chooser.compares
        self._first = set[int]()
        self._proven, self._again = list[int](), 0
        self._may: dict[int, Sequence[int]] = {}

    def _begins(self, assignment: Assignment, values: Sequence[Any]) -> None:
        """In the order of rows, so that what is known of a row does not depend on when others are looked up."""
        super()._begins(assignment, values)
        if assignment.phase == "serve":
            self._may[assignment.number] = self._others(assignment.serve)
        elif assignment.phase == "profile" and len(self._first) < FIRST_WAVE:
            self._first.add(assignment.number)

    async def _answer(self, place: asyncio.Future[Assignment], values: Sequence[Any], emit: Emit) -> Any:
        assignment = await place
        bills: dict[int, Bill] = {}
        BILLS.set(bills)
        BILL.set(None)  # what the row was asked by another call is on that call's
        try:
            if assignment.phase == "serve":
                return await self._or_reference(await self._deciding(self._who(assignment, values)), values, emit)
            assignment = await self._deciding(self._worth(assignment, values))
            if assignment.phase == "audit" and len(assignment.arms) == 1:
                return await self._askers[0].ask(values, emit)
            return await self._compared(assignment, values, emit)
        finally:
            BILL.set(None)
            if BILLS.get() is bills:  # nobody has been told yet
                self._follows.ended(assignment, values, bills)
            self._line.move_on()

    async def _who(self, assignment: Assignment, values: Sequence[Any]) -> int:
        found = await self._found(assignment.serve, self._may.pop(assignment.number), values)
        self._chooser.asked[assignment.serve] -= 1
        self._chooser.asked[found] += 1
        return found

    async def _worth(self, assignment: Assignment, values: Sequence[Any]) -> Assignment:
        """A comparison without what is not worth paying for: in a rerun, a row whose reference's answer is there saves nothing, and
        tells for nothing what is there of others. It is one if the first wave finds the reference's answers, and the others', too,
        or earlier runs have compared them on other rows of the data. Of that wave each row is taken for itself."""
        if assignment.phase == "audit":
            return await self._audited(assignment, values)
        first = assignment.number in self._first
        if self._chooser.compares or not (first or self._rerun):
            return assignment
        found = [arm for arm in assignment.arms if await self._follows.found(arm, values)]
        again = 0 in found
        if first:
            again = again and (
                len(found) == len(assignment.arms) or any(e.rows for e in self._chooser.earlier.values())
            )
            self._rerun = self._rerun and again
        if not again:
            return assignment
        for arm in set(assignment.arms).difference(found):
            self._chooser.asked[arm] -= 1
        return replace(assignment, arms=tuple(found))

    async def _audited(self, audit: Assignment, values: Sequence[Any]) -> Assignment:
        """None, if it would ask an arm that would not have been asked: the reference's answer is there."""
        arm = audit.arms[-1]
        if not await self._follows.found(0, values) or await self._follows.found(arm, values):
            return audit
        self._chooser.asked[arm] -= 1
        return replace(audit, arms=(0,))

    async def _found(self, arm: int, others: Sequence[int], values: Sequence[Any]) -> int:
        """Who has answered it before, of those who may serve: so a rerun pays nothing, whoever served when. Else who serves."""
        asked = [*([0] if arm or others else []), *([arm] if arm and others else []), *others]
        for other in asked:
            if await self._follows.found(other, values):
                return other
        return arm

    def _others(self, arm: int) -> list[int]:
        """Other arms that have proved themselves, as of a few rows before: to find out takes longer than a row should."""
        if self._chooser.seen >= self._again:
            self._proven, self._again = self._chooser.proven(), self._chooser.seen + BLOCK
        return [each for each in self._proven if each not in (0, arm) and not self._chooser.tallies[each].why]

    def _learn(self, assignment: Assignment, values: Sequence[Any], answers: Mapping[int, Any]) -> None:
        bills = BILLS.get() or {}
        BILLS.set(None)
        self._follows.ended(assignment, values, {arm: bill for arm, bill in bills.items() if arm in answers})
        super()._learn(assignment, values, answers)


class _Billed:
    """Asks for one arm; the bill is the row's. What the reference is asked because the arm had no answer is on the arm's."""

    def __init__(self, arm: int, asker: Asker, follows: Followed) -> None:
        self._arm, self._asker, self._follows = arm, asker, follows

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        return self._answer(self._asker.ask(values, emit))

    def settle(self) -> None:
        """See :class:`Asker`."""
        self._asker.settle()

    async def close(self) -> None:
        """See :class:`Asker`."""
        await self._asker.close()

    async def _answer(self, answer: Coroutine[Any, Any, Any]) -> Any:
        bills, bill = BILLS.get(), BILL.get()
        if bill is None and bills is not None:
            bill = bills[self._arm] = Bill()
            BILL.set(bill)
        clock, failed = asyncio.get_running_loop().time, True
        started = clock()
        try:
            result = await answer
            failed = False
        except (ModelError, DataError):
            if bill is not None:
                bill.add(0.0, clock() - started)
            raise
        finally:
            self._follows.served(self._arm, failed=failed)
        return result
