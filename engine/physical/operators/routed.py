"""A call whose rows are routed: each asks whom a policy names, and another if the answer is not sure enough."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

from ....optimizer.routing.evidence import Said
from ....optimizer.routing.site import Outcome, Visit
from ....udfs.spec import Ask, Emit, Weighs
from ...errors import DataError, ModelError, ModelUnavailable
from .asker import Asker, StageAsker, unheard
from .call_stage import Routed
from .questions import key_of


class WeighingAsker(StageAsker):
    """Gives answers as :class:`Said`, with how sure the model is where its task can tell."""

    async def _answer(self, values: Sequence[Any], emit: Emit, ask: Ask) -> Said:
        task = self._stage.task
        if not (isinstance(task, Weighs) and task.weighs):
            return Said(await super()._answer(values, emit, ask))
        await self._prepared()
        weighed = await task.weigh(values, ask)
        return Said(None) if weighed is None else Said(weighed.value, weighed.confidence)


class RoutedAsker:
    """Asks whom the policy names. Rows wait while the block of rows before the last is under way: a policy holds for a block.

    Parameters
    ----------
    reference : gives answers. others : give :class:`Said`, in the order of the policy's arms from 1. routed : the policy.
    """

    def __init__(self, reference: Asker, others: Sequence[Asker], routed: Routed) -> None:
        self._reference, self._others, self._routed, self._site = reference, others, routed, routed.site
        self._waiting: deque[tuple[asyncio.Future[Visit], Sequence[Any], str | bytes]] = deque()
        self._gone = set[int]()

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        self._routed.questions.one()
        place: asyncio.Future[Visit] = asyncio.get_running_loop().create_future()
        key = key_of(values)
        self._waiting.append((place, values, key))
        self._move_on()
        return self._answer(place, values, key, emit)

    def settle(self) -> None:
        """See :class:`Asker`."""
        for asker in (self._reference, *self._others):
            asker.settle()

    async def close(self) -> None:
        """See :class:`Asker`."""
        for asker in (self._reference, *self._others):
            await asker.close()
        self._site.close()

    def _move_on(self) -> None:
        """Rows that may come have their policy."""
        while self._waiting and self._site.ready:
            place, values, key = self._waiting.popleft()
            self._routed.costs.look(values)
            visit = self._site.visit(key, values, self._routed.above(key))
            if not place.cancelled():
                place.set_result(visit)

    async def _answer(self, place: asyncio.Future[Visit], values: Sequence[Any], key: str | bytes, emit: Emit) -> Any:
        visit, outcome = await place, Outcome(asked=[])
        try:
            said = await self._row(visit, outcome, values, key, emit)
            self._routed.tell(key, said)
            return said.answer
        finally:  # a row without an answer has ended, too: others wait for its block
            self._site.ended(visit, outcome)
            self._move_on()

    async def _row(self, visit: Visit, outcome: Outcome, values: Sequence[Any], key: str | bytes, emit: Emit) -> Said:
        right = self._routed.feedback.get(key)
        if visit.audit or right is not None:
            if visit.audit:
                return await self._audited(outcome, right, values, emit)
            await self._everybody(outcome, values)
            outcome.right, outcome.full = right, True
        said = await self._first(visit, outcome, values)
        if said is None:
            return await self._refer(outcome, values, emit)
        if not await self._routed.paid_for(values):
            outcome.taken = visit.start
            return said
        return Said(await self._reference.ask(values, emit))  # it is there, and costs nothing

    async def _audited(self, outcome: Outcome, right: Said | None, values: Sequence[Any], emit: Emit) -> Said:
        """The reference's answer; what the others would have said is learnt from."""
        others = asyncio.ensure_future(self._everybody(outcome, values))
        try:
            answer = await self._refer(outcome, values, emit)
            await others
        finally:
            others.cancel()
            await asyncio.gather(others, return_exceptions=True)
        outcome.right = right or answer
        return answer

    async def _everybody(self, outcome: Outcome, values: Sequence[Any]) -> None:
        await asyncio.gather(*(self._say(arm, outcome, values) for arm in range(1, len(self._others) + 1)))

    async def _first(self, visit: Visit, outcome: Outcome, values: Sequence[Any]) -> Said | None:
        """The answer of whom the policy names, if it is good enough; ``None``: the reference is asked."""
        arm = visit.start
        if not arm:
            return None
        if arm not in outcome.said:
            await self._say(arm, outcome, values)
        said = outcome.said.get(arm)
        return said if said is not None and self._site.accepts(visit, arm, said) else None

    async def _say(self, arm: int, outcome: Outcome, values: Sequence[Any]) -> None:
        """Ask an arm. One that fails has said nothing, and the reference is asked. Where nobody is there, which takes many requests to
        find out, nobody is asked again in this run."""
        if arm in self._gone:
            return
        outcome.asked.append(arm)
        try:
            outcome.said[arm] = await self._others[arm - 1].ask(values, unheard)
        except ModelUnavailable:
            self._gone.add(arm)
        except (ModelError, DataError):
            return

    async def _refer(self, outcome: Outcome, values: Sequence[Any], emit: Emit) -> Said:
        outcome.asked.append(0)
        answer = Said(await self._reference.ask(values, emit))
        outcome.right = outcome.right or answer
        return answer
