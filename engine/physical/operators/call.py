"""The operator of a ``Call`` node: adds the answer column of one semantic call to a stream of batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import repeat
from typing import TypeVar

import pyarrow as pa

from ...dataflow import streams
from ...dataflow.demand import Demand
from ...dataflow.gates import ROOT
from ...dataflow.run import QueryRun
from ...errors import Interrupted
from ..row_batches import Input
from ..slices import sliced
from .answers import Rows
from .call_stage import CallStage
from .inquiry import CallInquiry, Inquiry
from .leaving import InOrder, Leaving
from .questions import Questions

T = TypeVar("T")

FIRST_ROWS, SMALL_ROWS, MOST_ROWS = 1, 8, 256
WINDOW_FACTOR = 8
WINDOW_ROWS = 65_536
WINDOW_BYTES = 64 << 20


def run_call(
    batches: AsyncIterator[pa.RecordBatch],
    stage: CallStage,
    run: QueryRun,
    demand: Demand | None = None,
    *,
    patient: bool = True,
    leaving: Callable[[Callable[[], None]], Leaving] = InOrder,
    root: str | None = None,
) -> AsyncIterator[pa.RecordBatch]:
    """The batches with the answer column appended: same rows, same order (unless ``leaving`` has another), cut smaller.

    Rows with a NULL argument, or whose guard is not TRUE, are answered NULL without a call. Ending the generator early
    cancels what is under way and waits for its end; ``batches`` is closed too.

    Parameters
    ----------
    batches : rows with the columns of ``stage.call.arguments`` and its guard.
    run : settings, store, progress and notices of the query.
    demand : how many rows may be under way for a LIMIT; ``None``: as many as the window holds. Only the lowest call of a
        pipeline takes it.
    patient : rows to come may be waited for to fill a prompt. Not above another call under a LIMIT, which may be waiting
        for the rows that wait here.
    leaving : in which order rows leave; as they came, if nothing is said. It is given what to call when there is news.
    root : the column with the number of the source's row that a row is for; the oldest go first.

    Raises
    ------
    OperationalError : too many rows failed (``llm_max_error_ratio``), or the first one did (``on_error := 'fail'``).
    BudgetExceeded, Interrupted, ProgrammingError : always; they never become NULLs. ModelUnavailable : nobody listens.
    """
    return run_inquiry(batches, CallInquiry(stage, run), demand, patient=patient, leaving=leaving, root=root)


async def run_inquiry(
    batches: AsyncIterator[pa.RecordBatch],
    inquiry: Inquiry,
    demand: Demand | None = None,
    *,
    patient: bool = True,
    leaving: Callable[[Callable[[], None]], Leaving] = InOrder,
    root: str | None = None,
) -> AsyncIterator[pa.RecordBatch]:
    """What the inquiry makes of the rows; see ``run_call``."""
    window = _Window(batches, inquiry, demand, patient=patient, leaving=leaving, root=root)
    try:
        async with streams.closing(window.results()) as results:
            async for batch in results:
                yield batch
    finally:
        await window.close()


def _never() -> bool:
    return False


class _Window:
    """Rows under way: a feeder starts them in order at one end, finished micro-batches leave at the other.

    It is bounded in questions (8 times what the model takes at once: with less, one slow answer at the head leaves the
    model idle; with more, a reader that stops has paid for rows it never saw), in rows and in bytes.
    """

    def __init__(
        self,
        batches: AsyncIterator[pa.RecordBatch],
        inquiry: Inquiry,
        demand: Demand | None,
        *,
        patient: bool,
        leaving: Callable[[Callable[[], None]], Leaving],
        root: str | None,
    ) -> None:
        self._batches, self._inquiry, self._demand, self._root = batches, inquiry, demand, root
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._leaving = leaving(self._news.set)
        self._asker = inquiry.asker(self._rows_to_come, hears=self._leaving.hears, fatal=self._fail)
        self._questions = Questions(
            self._asker.ask,
            share=inquiry.share,
            strict=inquiry.strict and not self._leaving.forgives,
            fatal=self._fail,
        )
        self._between_batches: Input = "open" if patient else "stalled"
        self._input: Input = self._between_batches
        self._over: Callable[[], bool] = _never
        self._most_questions = WINDOW_FACTOR * inquiry.rows_in_flight
        self._asked = self._rows = self._bytes = 0
        self._next_rows = FIRST_ROWS
        self._ended = False
        self._fatal: BaseException | None = None
        self._source_error: BaseException | None = None
        self._feeder = asyncio.create_task(self._feed())
        self._feeder.add_done_callback(self._fed)

    async def results(self) -> AsyncIterator[pa.RecordBatch]:
        """The finished micro-batches."""
        while (rows := await self._finished()) is not None:
            yield self._inquiry.batch(rows, self._leaving)
        self._inquiry.judge()

    async def close(self) -> None:
        """End everything that is under way."""
        self._feeder.cancel()
        await asyncio.wait({self._feeder})
        await self._questions.close()
        await self._asker.close()
        await streams.close(self._batches)
        await self._inquiry.close()

    async def _finished(self) -> Rows | None:
        while True:
            if self._fatal is not None:
                raise self._fatal
            if (rows := self._leaving.next()) is not None:
                return self._left(rows)
            if self._ended and not self._leaving.waiting:
                # A failing source comes after the rows before it: they may be all that the reader wants.
                if self._source_error is not None:
                    raise self._source_error
                return None
            self._news.clear()
            await self._news.wait()

    def _left(self, rows: Rows) -> Rows:
        self._asked -= rows.asked
        self._rows -= rows.batch.num_rows
        self._bytes -= rows.bytes
        self._room.set()
        self._tell(self._input)
        return rows

    def _fail(self, error: BaseException) -> None:
        if self._fatal is None:
            stopped = Interrupted("The query was stopped: its event loop is ending.")
            self._fatal = stopped if isinstance(error, asyncio.CancelledError) else error
        self._news.set()

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        self._ended = True
        self._source_error = asyncio.CancelledError() if feeder.cancelled() else feeder.exception()
        self._tell("ended")
        self._news.set()

    async def _feed(self) -> None:
        async for batch in self._batches:
            self._tell("open")
            start = 0
            while start < batch.num_rows:
                size = await self._admit(batch.num_rows - start)
                if not size:
                    return
                self._add(sliced(batch, start, size))
                start += size
            self._tell(self._between_batches)

    async def _admit(self, left: int) -> int:
        """How many rows to start next; waits for room. 0: the reader needs no more."""
        while self._leaving.waiting and self._is_full():
            self._room.clear()
            await self._stalled(self._room.wait(), self._room.is_set)
        if self._questions.doomed:
            return 0
        most = min(left, self._next_rows)
        if self._demand is None:
            # Small ones first, so that the first rows are early; larger ones later, so that the rest is cheap.
            self._next_rows = min(MOST_ROWS, max(SMALL_ROWS, self._most_questions // 4), self._next_rows * 2)
            return most
        demand = self._demand
        return await self._stalled(demand.take(min(most, max(1, demand.cap // 4))), lambda: demand.allowance > 0)

    async def _stalled(self, waiting: Awaitable[T], over: Callable[[], bool]) -> T:
        """Wait for what only answers can bring; ``over``: it is there, although this has yet to run on."""
        self._over = over
        self._tell("stalled")
        try:
            return await waiting
        finally:
            self._over = _never
            self._tell("open")

    def _tell(self, known: Input) -> None:
        """What is known of rows to come; rows that gather for one prompt may have to go now."""
        self._input = known
        self._asker.settle()

    def _rows_to_come(self) -> Input:
        if self._input != "stalled":
            return self._input
        # Rows that can leave make room, and may be what a LIMIT waits for: then no other answer is needed.
        return "open" if self._leaving.ready or self._over() else "stalled"

    def _is_full(self) -> bool:
        return self._asked >= self._most_questions or self._rows >= WINDOW_ROWS or self._bytes >= WINDOW_BYTES

    def _add(self, batch: pa.RecordBatch) -> None:
        tuples = self._inquiry.inputs(batch)
        rows = self._leaving.rows(batch)
        roots = repeat(0) if self._root is None else batch.column(self._root).to_pylist()
        for values, root in zip(tuples, roots, strict=False):
            ROOT.set(root)
            rows.add(*(self._questions.of(values) if values is not None else (None, False)))
        self._asked += rows.asked
        self._inquiry.count(rows.asked)
        self._rows += batch.num_rows
        self._bytes += rows.bytes
        self._news.set()
