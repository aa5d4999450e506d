"""Calls over the same inputs that one prompt may answer: the first of a group leads, the others do with a row what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from ....optimizer.search.assignment import Assignment
from ....udfs.models.base import Generate, Reply, Request
from ....udfs.prompts.merged import merged, replies
from ....udfs.spec import Emit
from ...errors import DataError, Error, InvalidAnswer, ModelError
from .asker import Asker, unheard
from .call_stage import CallStage, Merging, Way
from .line import Line
from .questions import key_of

T = TypeVar("T")
Ways = Sequence[Sequence[Asker]]
"""Per way and call who asks for it alone."""


class UnusableError(ModelError):
    """No task's answer can be read from a reply. Not an ``InvalidAnswer``: each is asked for alone, not all of them again."""


def merged_asker(part: int, merging: Merging, own: Asker, make: Callable[[CallStage], Asker]) -> Asker:
    """The asker of one call of a group.

    Parameters
    ----------
    part : which of its calls. own : asks for it as it was written. make : the asker of another stage alone.
    """
    ways: list[list[Asker]] = [[make(stage) for stage in way.stages] for way in merging.ways]
    ways[0][part] = own
    return _Follower(ways, merging, part) if part else _Leader(ways, merging)


class _Alone:
    """What the calls of a group have in common: each can be asked as it was written, or by the way that was decided."""

    def __init__(self, ways: Ways, merging: Merging, part: int) -> None:
        self._ways, self._merging, self._part = ways, merging, part

    def settle(self) -> None:
        """See :class:`Asker`."""
        for asker in self._all():
            asker.settle()

    async def close(self) -> None:
        """See :class:`Asker`."""
        for asker in self._all():
            await asker.close()

    def _all(self) -> list[Asker]:
        return [asker for way in self._ways for asker in way]

    async def _answer_by(self, arm: int, values: Sequence[Any], emit: Emit) -> Any:
        """The call's answer; as it was written, where another way has none."""
        reference = self._ways[0][self._part]
        if arm:
            try:
                return await self._by_way(arm, values)
            except (ModelError, DataError):
                self._merging.decided.put(key_of(values), 0, 1)
        return await reference.ask(values, emit)

    async def _by_way(self, arm: int, values: Sequence[Any]) -> Any:
        way = self._merging.ways[arm]
        if not way.together:
            return await self._ways[arm][self._part].ask(values, unheard)
        return await part_of(way, self._part, values, await replies_of(way, values, self._part))


class _Follower(_Alone):
    """A call of a group that is not the first: by the time a row is here, the first one has been asked about it."""

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        return self._answer_by(self._merging.decided.get(key_of(values)) or 0, values, emit)


class _Leader(_Alone):
    """The first call of a group. Rows wait while a wave of comparisons is under way."""

    def __init__(self, ways: Ways, merging: Merging) -> None:
        super().__init__(ways, merging, 0)
        self._line = Line(merging.chooser, merging.questions, self._begins)

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        return self._answer(self._line.place(values), values, emit)

    def _begins(self, assignment: Assignment, values: Sequence[Any]) -> None:
        if assignment.phase == "profile":
            # If no request can be made of it, whoever asks the row will say so.
            with suppress(Error, ValueError, TypeError, AttributeError, LookupError):
                self._merging.costs.look(values)

    async def _answer(self, place: asyncio.Future[Assignment], values: Sequence[Any], emit: Emit) -> Any:
        assignment = await place
        if assignment.phase == "serve":
            arm = assignment.serve
            if arm and await self._merging.paid_for(values, arm):
                arm = 0
            self._merging.decided.put(key_of(values), arm, 1)
            return await self._answer_by(arm, values, emit)
        self._merging.decided.put(key_of(values), 0, 1)
        return await self._compared(assignment, values)

    async def _compared(self, assignment: Assignment, values: Sequence[Any]) -> Any:
        """Ask all calls of the group in every way; the answer is that of the call as written."""
        came = await asyncio.gather(*(self._said(arm, values) for arm in assignment.arms))
        said = dict(zip(assignment.arms, came, strict=True))
        for arm in assignment.arms[1:] if assignment.phase == "profile" else ():
            self._merging.see(arm, said[arm], said[0])
        self._merging.chooser.learn(assignment, said)
        self._merging.notes.update(_proofs(self._merging))
        self._line.move_on()
        if isinstance(failed := said[0][0], BaseException):
            raise failed
        return said[0][0]

    async def _said(self, arm: int, values: Sequence[Any]) -> Sequence[Any]:
        """Every call's answer in one way, or its failure."""
        way = self._merging.ways[arm]
        if not way.together:
            return await _all(*(asker.ask(values, unheard) for asker in self._ways[arm]))
        try:
            found = await replies_of(way, values, 0)
        except ModelError as error:
            return [error] * len(way.stages)
        return await _all(*(part_of(way, part, values, found) for part in range(len(way.stages))))


async def replies_of(way: Way, values: Sequence[Any], part: int) -> list[Reply | None]:
    """One prompt for all calls of a group, asked for on behalf of one of them; its reply to each.

    Raises
    ------
    ModelError : there was none.
    """
    asked, model = one_prompt(way, values), way.stages[part].caller.spec.name
    if asked is None:
        raise UnusableError("These tasks have no prompt in common.", model)

    def read(reply: Reply) -> list[Reply | None]:
        try:
            return replies(reply, asked.answers, model)
        except InvalidAnswer as error:
            raise UnusableError(str(error), model) from error

    return await way.stages[part].caller.ask(asked.request, read)


def one_prompt(way: Way, values: Sequence[Any]) -> Any:
    """The prompt for all calls of a group about one row; ``None``: they have none in common."""
    asked = [request for stage in way.stages for request in stage.task.requests(values)]
    texts = [request for request in asked if isinstance(request, Generate)]
    return merged(texts) if len(texts) == len(asked) == len(way.stages) else None


async def part_of(way: Way, part: int, values: Sequence[Any], found: Sequence[Reply | None]) -> Any:
    """A call's answer from the replies to all.

    Raises
    ------
    InvalidAnswer : its reply is missing, or outside its type.
    """
    reply, model = found[part], way.stages[part].caller.spec.name

    async def ask(request: Request, parse: Callable[[Reply], T]) -> T:
        del request
        if reply is None:
            raise InvalidAnswer("The answer to several tasks has none for this one.", model)
        return parse(reply)

    return await way.stages[part].task.run(values, ask)


async def _all(*asked: Coroutine[Any, Any, Any]) -> list[Any]:
    """What came of each: the answer, or the failure, if it is the row's own."""
    came = await asyncio.gather(*asked, return_exceptions=True)
    for result in came:
        if isinstance(result, BaseException) and not isinstance(result, ModelError | DataError):
            raise result
    return list(came)


def _proofs(merging: Merging) -> dict[str, str]:
    """What each way has proved so far."""
    chooser, found = merging.chooser, {}
    for arm, tally in chooser.tallies.items():
        serves = "serves; " if chooser.serving == arm else ""
        out = f"; out: {tally.why}" if tally.why else ""
        found[f"arm {merging.ways[arm].name}"] = f"{serves}agreed in {tally.mean():.1%} of {tally.rows:,} compared{out}"
    return found
