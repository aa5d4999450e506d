"""How one row is asked by several calls until one of them says no: in an order that is learnt from the rows before it."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ....optimizer.ordering.adaptive import AdaptiveOrder, Ticket
from ....optimizer.ordering.counts import Asked
from ....optimizer.ordering.predicate import Answer, Predicate
from ....udfs.spec import Emit
from ...errors import BudgetExceeded
from .asker import Asker
from .call_stage import CallStage
from .questions import Question, Questions

PRIOR_SHARE = 0.5
"""Of rows that pass a filter. What earlier queries taught is not used: with it, a query repeated would ask other questions
than the one whose answers it finds."""

Reached = tuple[tuple[int, Question], ...]
"""The calls that a row was asked by, in that order, and what came of each."""


class ConjunctAsker:
    """Asks rows by tickets, which they get in the order in which they come.

    Parameters
    ----------
    stages : of the calls. askers : of each. cost : of one question, by the place of its call: the same in every run.
    seed : of what is drawn. fatal : told of an error that is no row's.
    """

    def __init__(
        self,
        stages: Sequence[CallStage],
        askers: Sequence[Asker],
        cost: Callable[[int, Sequence[Any]], float],
        seed: int,
        fatal: Callable[[BaseException], None],
    ) -> None:
        self._stages, self._askers, self._cost, self._seed, self._fatal = stages, askers, cost, seed, fatal
        self._sites = [
            Questions(asker.ask, share=stage.call.distinct, strict=False, fatal=self._fail)
            for stage, asker in zip(stages, askers, strict=True)
        ]
        self._over = False
        self._order: AdaptiveOrder | None = None
        self._waiting: deque[tuple[asyncio.Future[Ticket], bytes]] = deque()
        self._begun = 0
        self._since: tuple[tuple[int, ...], int] = ((), 0)

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Reached]:
        """See :class:`Asker`. ``values`` : the arguments of each call."""
        del emit
        place: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._waiting.append((place, hashlib.blake2b(repr(values).encode(errors="surrogatepass")).digest()))
        order = self._order_for(values)
        self._move_on(order)
        return self._answer(order, place, values)

    def settle(self) -> None:
        """See :class:`Asker`."""
        for asker in self._askers:
            asker.settle()

    async def close(self) -> None:
        """See :class:`Asker`."""
        for site in self._sites:
            await site.close()
        for asker in self._askers:
            await asker.close()
        self._note()

    def _fail(self, error: BaseException) -> None:
        """No row's, so that no other row need be asked."""
        self._over = True
        self._fatal(error)

    def _order_for(self, values: Sequence[Any]) -> AdaptiveOrder:
        """The order, made when the first row shows what questions cost."""
        if self._order is None:
            costs = [self._cost(place, own) for place, own in enumerate(values)]
            self._order = AdaptiveOrder([Predicate(cost, true=PRIOR_SHARE) for cost in costs], seed=self._seed)
        return self._order

    def _move_on(self, order: AdaptiveOrder) -> None:
        while self._waiting and not self._over and (ticket := order.ticket(self._waiting[0][1])) is not None:
            place, _ = self._waiting.popleft()
            self._begun += 1
            if order.standing.order != self._since[0]:
                self._since = order.standing.order, self._begun
            if not place.cancelled():
                place.set_result(ticket)

    async def _answer(self, order: AdaptiveOrder, place: asyncio.Future[Ticket], values: Sequence[Any]) -> Reached:
        ticket = await place
        reached: list[tuple[int, Question]] = []
        seen: list[Asked] = []
        said: dict[int, Answer] = {}
        try:
            while (at := ticket.next(said)) is not None:
                question = await self._put(at, values[at])
                reached.append((at, question))
                said[at] = None if question.error else question.value
                seen.append(Asked(at, said[at] is True, self._cost(at, values[at])))
        except BaseException:
            seen.clear()
            raise
        finally:
            order.seen(ticket, seen)
            self._move_on(order)
        return tuple(reached)

    async def _put(self, at: int, values: Sequence[Any]) -> Question:
        """A question, answered."""
        question, new = self._sites[at].of(values)
        self._stages[at].caller.progress.inputs += new
        if not question.done:
            answered = asyncio.Event()
            question.listeners.append(answered.set)
            await answered.wait()
        if isinstance(question.error, BudgetExceeded):
            raise question.error
        return question

    def _note(self) -> None:
        """What EXPLAIN ANALYZE says of the order."""
        if self._order is None:
            return
        (places, since), order = self._since, self._order
        sites = ", ".join(self._stages[place].call.site for place in places)
        again = f"; begun again {order.standing.restarts:,} times" if order.standing.restarts else ""
        note = f"{sites} since row {since:,} of {self._begun:,}; every answer asked in {order.audited:,} rows{again}"
        self._stages[-1].caller.progress.notes["order"] = note
