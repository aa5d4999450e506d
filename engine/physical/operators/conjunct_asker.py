"""How one row is asked by several calls until its value is known: in an order that is learnt from the rows before it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from ....optimizer.ordering.adaptive import AdaptiveOrder, Ticket, Tuning
from ....optimizer.ordering.branches import Branches
from ....optimizer.ordering.counts import Asked
from ....optimizer.ordering.predicate import Answer, Logic, Predicate
from ....udfs.spec import Emit
from ...errors import BudgetExceeded
from .asker import Asker
from .call_stage import CallStage
from .order_line import OrderLine
from .questions import Question, Questions

PRIOR_SHARE = 0.5
"""Of rows that pass a filter. What earlier queries taught is not used: with it, a query repeated would ask other questions
than the one whose answers it finds."""

Reached = tuple[tuple[int, Question], ...]
"""The calls that a row was asked by, in that order, and what came of each."""


class Reading(Protocol):
    """What is to be found out about a row."""

    def open(self, values: Sequence[Any]) -> tuple[Logic | Branches, tuple[int, ...]]:
        """How its predicates are joined, and the places of their calls."""
        ...

    def truth(self, place: int, question: Question) -> Answer:
        """What a call's answer is to the predicate that reads it."""
        ...


class AllTrue:
    """Whether the answers of so many calls are all TRUE; see ``Reading``."""

    def __init__(self, calls: int) -> None:
        self._open = Logic("and"), tuple(range(calls))

    def open(self, values: Sequence[Any]) -> tuple[Logic | Branches, tuple[int, ...]]:
        """See ``Reading``."""
        del values
        return self._open

    def truth(self, place: int, question: Question) -> Answer:
        """See ``Reading``."""
        del place
        return None if question.error else question.value


class ConjunctAsker:
    """Asks rows by tickets, which they get in the order in which they come.

    Parameters
    ----------
    stages : of the calls. askers : of each. cost : of one question, by the place of its call: the same in every run.
    seed : of what is drawn. fatal : told of an error that is no row's. reading : what is to be found out of them.
    tuning : see ``AdaptiveOrder``.
    """

    def __init__(
        self,
        stages: Sequence[CallStage],
        askers: Sequence[Asker],
        cost: Callable[[int, Sequence[Any]], float],
        seed: int,
        fatal: Callable[[BaseException], None],
        reading: Reading | None = None,
        *,
        tuning: Tuning,
    ) -> None:
        self._tuning = tuning
        self._stages, self._askers, self._cost, self._seed, self._fatal = stages, askers, cost, seed, fatal
        self._reading = reading or AllTrue(len(stages))
        self._sites = [
            Questions(asker.ask, share=stage.call.distinct, strict=False, fatal=self._fail)
            for stage, asker in zip(stages, askers, strict=True)
        ]
        self._over = False
        self._lines: dict[tuple[Logic | Branches, tuple[int, ...]], OrderLine] = {}

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Reached]:
        """See :class:`Asker`. ``values`` : the arguments of each call, perhaps followed by more of the row."""
        del emit
        line = self._line_for(values)
        ticket = line.queue(hashlib.blake2b(repr(values).encode(errors="surrogatepass")).digest())
        return self._answer(line, ticket, values)

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
        for line in self._lines.values():
            line.over = True
        self._fatal(error)

    def _line_for(self, values: Sequence[Any]) -> OrderLine:
        """Those of whom the same is to be found out share an order, made when the first shows what questions cost."""
        key = logic, places = self._reading.open(values)
        if (line := self._lines.get(key)) is None:
            given = [Predicate(self._cost(place, values[place]), true=PRIOR_SHARE) for place in places]
            line = self._lines[key] = OrderLine(AdaptiveOrder(given, logic, self._seed, self._tuning), places)
            line.over = self._over
        return line

    async def _answer(self, line: OrderLine, place: asyncio.Future[Ticket], values: Sequence[Any]) -> Reached:
        ticket = await place
        reached: list[tuple[int, Question]] = []
        seen: list[Asked] = []
        said: dict[int, Answer] = {}
        try:
            while (predicate := ticket.next(said)) is not None:
                at = line.places[predicate]
                question = await self._put(at, values[at])
                reached.append((at, question))
                said[predicate] = answer = self._reading.truth(at, question)
                seen.append(Asked(predicate, ticket.logic.goes_on(predicate, answer), self._cost(at, values[at])))
        except BaseException:
            seen.clear()
            raise
        finally:
            line.seen(ticket, seen)
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
        """What EXPLAIN ANALYZE says of the order that most rows shared."""
        if self._lines:
            line = max(self._lines.values(), key=lambda line: line.begun)
            self._stages[-1].caller.progress.notes["order"] = line.note([stage.call.site for stage in self._stages])
