"""A call that several arms may answer, with right answers for some inputs: all that answer are compared with these."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from ....optimizer.search.assignment import Assignment
from ....optimizer.search.chooser import Chooser
from ....udfs.spec import Emit
from ...errors import DataError, ModelError
from .armed import ArmedAsker
from .asker import Asker
from .call_stage import Armed
from .judged import UNLABELLED, Judged
from .line import Line


class LabelledAsker(ArmedAsker):
    """The rows that have a label are the sample: the chooser sees the label where it would see the reference's answer, and an arm
    that serves is audited by every one of them. Other rows go by, to whoever serves once those before them are compared: so the
    same rows are answered by the same, however fast answers come.

    Parameters
    ----------
    askers : the reference first. armed : the chooser, who is told what came of it. judged : has the labels.
    """

    def __init__(self, askers: Sequence[Asker], armed: Armed, judged: Judged) -> None:
        chooser, places = armed.chooser, Places(armed.chooser)
        super().__init__([JudgedAsker(each, arm, chooser, judged, places) for arm, each in enumerate(askers)], armed)
        self._judged, self._places = judged, places
        self._line = Line(places, armed.questions, self._begins)
        self._open: set[asyncio.Future[None]] = set()

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        if self._judged.label(values) is UNLABELLED:
            self._armed.questions.one()
            self._judged.unlabelled += 1
            self._places.since += 1
            return self._passing(self._places.come, values, emit)
        self._places.another()
        return super().ask(values, emit)

    async def close(self) -> None:
        """See :class:`Asker`."""
        await super().close()
        if not self._chooser.compares:
            self._judged.tell()

    async def _passing(self, place: int, values: Sequence[Any], emit: Emit) -> Any:
        """A row that is in no wave. Tasks begin in the order of rows: those before it that may decide who serves are open."""
        if self._open:
            await asyncio.wait(frozenset(self._open))
        arm = self._places.serving(place)
        self._chooser.asked[arm] += 1
        return await self._served(arm, values, emit)

    async def _answer(self, place: asyncio.Future[Assignment], values: Sequence[Any], emit: Emit) -> Any:
        if self._chooser.serving is not None:
            return await super()._answer(place, values, emit)
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open.add(end)
        try:
            return await super()._answer(place, values, emit)
        finally:
            self._open.discard(end)
            end.set_result(None)

    async def _compared(self, assignment: Assignment, values: Sequence[Any], emit: Emit) -> Any:
        if assignment.phase == "profile":
            return await super()._compared(assignment, values, emit)
        self._chooser.asked[0] -= 1  # an audit: the label is there already
        return await self._served(assignment.serve, values, emit)

    def _learn(self, assignment: Assignment, values: Sequence[Any], answers: Mapping[int, Any]) -> None:
        self._chooser.learn(assignment, {**answers, 0: self._judged.label(values)})
        self._places.look()

    async def _paid_for(self, values: Sequence[Any]) -> bool:
        """What was found wanting is not taken because it is there."""
        return not self._judged.wanting and await super()._paid_for(values)


class Places:
    """Who serves a row without a label, by its place among those that have one: what is decided by rows behind it is not for it,
    whichever answer is there first. It also counts such rows for the chooser, when the next row with a label is assigned.

    Parameters
    ----------
    chooser : who decides.

    Attributes
    ----------
    come : rows with a label so far. since : rows without one that came behind the last of these.
    """

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser
        self.come = self.since = self._assigned = 0
        self._before: deque[int] = deque()
        self._decided = [(0, 0)]

    def another(self) -> None:
        """A row with a label comes."""
        self.come += 1
        self._before.append(self.since)
        self.since = 0

    def assign(self) -> Assignment | None:
        """See :class:`Chooser`."""
        self._chooser.seen += self._before[0]
        if (assignment := self._chooser.assign()) is None:
            self._chooser.seen -= self._before[0]
            return None
        self._before.popleft()
        self._assigned += 1
        self.look()
        return assignment

    def look(self) -> None:
        """The chooser may have decided, by the rows that are assigned."""
        serving = self._chooser.serving or 0
        if serving != self._decided[-1][1]:
            self._decided.append((self._assigned, serving))

    def serving(self, place: int) -> int:
        """Who serves behind so many rows with a label, all of which are answered."""
        return next(arm for assigned, arm in reversed(self._decided) if assigned <= place)


class JudgedAsker:
    """Asks, and compares answers with labels: the reference's for its own sake, an arm's while it serves.

    Parameters
    ----------
    asker : of the arm. arm : its number. chooser, judged : told of what came. places : told that something may be decided.
    """

    def __init__(self, asker: Asker, arm: int, chooser: Chooser, judged: Judged, places: Places) -> None:
        self._asker, self._arm, self._chooser, self._judged, self._places = asker, arm, chooser, judged, places

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        label = self._judged.label(values)
        return self._asker.ask(values, emit) if label is UNLABELLED else self._compared(values, emit, label)

    def settle(self) -> None:
        """See :class:`Asker`."""
        self._asker.settle()

    async def close(self) -> None:
        """See :class:`Asker`."""
        await self._asker.close()

    async def _compared(self, values: Sequence[Any], emit: Emit, label: Any) -> Any:
        try:
            answer = await self._asker.ask(values, emit)
        except (ModelError, DataError):
            self._see(label, {})
            raise
        self._see(label, {self._arm: answer})
        return answer

    def _see(self, label: Any, said: Mapping[int, Any]) -> None:
        if not self._arm:
            self._judged.see(label, tuple(said.values()))
        elif self._chooser.serving == self._arm:
            audit = Assignment(self._chooser.seen, (0, self._arm), self._arm, "audit")
            self._chooser.learn(audit, {0: label, **said})
            self._places.look()
