"""A call that students answer where they are sure: they learn from its model (the reference) while it answers the other rows.

Rows are decided in micro-batches, in the order in which they come. Nothing is learnt within one, and the next is decided when all that
the reference was asked about this one has been learnt: so the same rows get the same answers, however long calls take.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from ....optimizer.cascades.online.examples import Decision, Example
from ....udfs.spec import Emit
from ...dataflow.run import QueryRun
from ...errors import DataError, InterfaceError, ModelError, OperationalError
from ..cascading.model_proxy import ModelProxy
from ..online_students import SAVED_EVERY, Students, in_thread
from ..row_batches import Input
from .asker import Asker, unheard
from .call_stage import Taught
from .online_text import text_of
from .questions import key_of

FEWEST, MOST = 64, 256
"""Rows of a micro-batch, if as many come: with fewer, learning takes longer than what it saves; with more, it comes late."""
ASK: Any = object()
"""The verdict that the reference answers a row."""


class _Row:
    """A row that waits for its verdict: an answer, or that the reference is to be asked. ``said`` : what that said; failed: cancelled."""

    __slots__ = ("key", "said", "values", "verdict")

    def __init__(self, values: Sequence[Any]) -> None:
        loop = asyncio.get_running_loop()
        self.values, self.key = values, key_of(values)
        self.verdict: asyncio.Future[Any] = loop.create_future()
        self.said: asyncio.Future[Any] = loop.create_future()

    def decide(self, verdict: Any) -> None:
        """Unless nobody waits for it any more."""
        if not self.verdict.done():
            self.verdict.set_result(verdict)


class OnlineAsker:
    """See :class:`~.asker.Asker`.

    Parameters
    ----------
    reference : asks the call's own model. taught : its students. run : the query. input : what is known of rows to come.
    """

    def __init__(self, reference: Asker, taught: Taught, run: QueryRun, input: Callable[[], Input]) -> None:  # noqa: A002
        self._reference, self._taught, self._run, self._input = reference, taught, run, input
        self._most = min(MOST, max(FEWEST, 2 * taught.at_once))
        self._small = None if taught.small is None else ModelProxy(taught.small, taught.small.caller.concurrency)
        self._waiting: list[_Row] = []
        self._deciding: asyncio.Task[None] | None = None
        self._students: Students | None = None
        self._checking = False

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`~.asker.Asker`."""
        del emit
        row = _Row(values)
        self._waiting.append(row)
        self._check_soon()
        return self._answer(row)

    def settle(self) -> None:
        """See :class:`~.asker.Asker`."""
        self._reference.settle()
        self._check_soon()

    async def close(self) -> None:
        """See :class:`~.asker.Asker`; what was learnt is saved."""
        if self._deciding is not None:
            self._deciding.cancel()
            await asyncio.gather(self._deciding, return_exceptions=True)
        await self._reference.close()
        if self._students is not None:
            self._taught.tell(await in_thread(self._students.cascade.report))
            await self._save(self._students)

    async def _answer(self, row: _Row) -> Any:
        try:
            verdict = await row.verdict
            if verdict is not ASK:
                return verdict
            said = await self._reference.ask(row.values, unheard)
        except BaseException:
            row.said.cancel()
            raise
        self._taught.counts.reference += 1
        row.said.set_result(said)
        return said

    # --- micro-batches --------------------------------------------------------------------------------------------

    def _check_soon(self) -> None:
        """In the next turn of the loop, because more rows may come in this one."""
        if not self._checking:
            self._checking = True
            asyncio.get_running_loop().call_soon(self._check)

    def _check(self) -> None:
        self._checking = False
        enough = len(self._waiting) >= self._most or (self._waiting and self._input() != "open")
        if self._deciding is None and enough:
            rows, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            self._deciding = asyncio.create_task(self._micro_batch(rows))
            self._deciding.add_done_callback(partial(self._decided, rows))

    def _decided(self, rows: Sequence[_Row], task: asyncio.Task[None]) -> None:
        self._deciding = None
        error = None if task.cancelled() else task.exception()
        for row in rows:
            if error is not None and not row.verdict.done():
                row.verdict.set_exception(error)
        self._check_soon()

    async def _micro_batch(self, rows: Sequence[_Row]) -> None:
        students = await self._present()
        paid = await asyncio.gather(*(self._taught.paid_for(row.values) for row in rows))
        known = [students.met(row.key) for row in rows]
        for row, found, met in zip(rows, paid, known, strict=True):
            if found and met:  # it is part of what they know, and costs nothing
                row.decide(ASK)
        left = [place for place, row in enumerate(rows) if not row.verdict.done()]
        if not left:
            return
        batch = await self._examples([rows[place] for place in left])
        decisions = await self._decisions(students, batch, [rows[p] for p in left], [paid[p] for p in left])
        for place, decision in zip(left, decisions, strict=True):
            asks = decision.asks or paid[place]
            self._taught.counts.students += not asks
            rows[place].decide(ASK if asks else decision.answer)
        fresh = [at for at, place in enumerate(left) if not known[place]]
        await self._learn(
            students, [batch[at] for at in fresh], [decisions[at] for at in fresh], [rows[left[at]] for at in fresh]
        )

    async def _examples(self, rows: Sequence[_Row]) -> list[Example]:
        texts = [text_of(row.values) for row in rows]
        vectors: Sequence[Any] = [None] * len(rows)
        if self._taught.vectors is not None:
            with suppress(ModelError, DataError):  # the students of words do without
                made = await self._taught.vectors(texts)
                vectors = [None if math.isnan(vector[0]) else vector for vector in made]
        return [Example(row.key, text, vector) for row, text, vector in zip(rows, texts, vectors, strict=True)]

    async def _decisions(
        self, students: Students, batch: Sequence[Example], rows: Sequence[_Row], paid: Sequence[bool]
    ) -> list[Decision]:
        decisions = await in_thread(partial(students.cascade.decide, batch))
        asked = [at for at, decision in enumerate(decisions) if decision.level == "model" and not paid[at]]
        said = await self._small_says([rows[at].values for at in asked])
        heard = {asked[number]: answer for number, answer in said.items()}
        return await in_thread(partial(students.cascade.decide_model, batch, decisions, heard))

    async def _small_says(self, rows: Sequence[Sequence[Any]]) -> Mapping[int, tuple[Any, float]]:
        """Per place its answer, and the probability that it gives it."""
        if self._small is None or not rows:
            return {}
        try:
            judged = await self._small.answer(rows)
        except (
            ModelError,
            DataError,
        ) as error:  # nobody is there, and to find out took many requests: not again in this run
            name, self._small = self._small.name, None
            self._run.notice(f"{name} does not answer, so others do: {error}", about=name)
            return {}
        sure = ((place, each) for place, each in enumerate(judged) if each is not None)
        return {place: (each.answer, 1.0 / (1.0 + math.exp(-max(-30.0, each.certainty)))) for place, each in sure}

    # --- learning -------------------------------------------------------------------------------------------------

    async def _learn(
        self, students: Students, batch: Sequence[Example], decisions: Sequence[Decision], rows: Sequence[_Row]
    ) -> None:
        asked = {place: rows[place].said for place, decision in enumerate(decisions) if decision.asks}
        if asked:
            await asyncio.wait(asked.values())
        said = {place: future.result() for place, future in asked.items() if not future.cancelled()}
        await in_thread(partial(students.learn, batch, decisions, said))
        if students.unsaved >= SAVED_EVERY:
            await self._save(students)

    async def _present(self) -> Students:
        students = self._students
        if students is None:
            students = await in_thread(self._taught.students)
            self._students, self._taught.counts.alarms = students, len(students.cascade.report().alarms)
        return students

    async def _save(self, students: Students) -> None:
        if not students.unsaved:
            return
        with suppress(InterfaceError, OperationalError):  # the store is closed, or full: they are learnt again
            saving: Future[None] = await in_thread(partial(students.save, self._run.store))
            await asyncio.wrap_future(saving)
