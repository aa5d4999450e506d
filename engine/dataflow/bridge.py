"""Arrow batches from DuckDB's threads onto the event loop, and from the loop to DuckDB's threads."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pyarrow as pa

from ..errors import InternalError, Interrupted
from . import loop, streams
from .run import QueryRun
from .worker import Worker

BATCHES_AHEAD = 4
"""Finished batches that wait for DuckDB at most; a slow reader slows the pipeline down, down to its calls."""


class Reader(Protocol):
    """A ``pyarrow.RecordBatchReader``, or what reads like one."""

    def read_next_batch(self) -> pa.RecordBatch:
        """The next batch; StopIteration at the end."""
        ...

    def close(self) -> None:
        """Give up the rest."""
        ...


async def from_reader(
    reader: Reader, run: QueryRun, interrupt: Callable[[], object] | None = None
) -> AsyncIterator[pa.RecordBatch]:
    """The reader's batches as DuckDB cut them, read in a thread of its own, one ahead of who asks.

    Parameters
    ----------
    run : the query; once it is cancelled, ``interrupt`` is called.
    interrupt : makes a read under way fail soon (``connection.interrupt``): an early end waits for that read, because until
        then the reader's connection is busy.
    """
    worker = Worker("anserdb-reader")
    forget = run.on_cancel(interrupt) if interrupt else None
    read = partial(_read, reader)
    reading = worker.run(read)
    try:
        while (batch := await asyncio.shield(reading)) is not None:
            reading = worker.run(read)
            yield batch
    finally:
        if forget:
            forget()
        if interrupt and not reading.done():
            interrupt()
        # In the same thread, hence after the read that may be under way.
        await asyncio.wait({worker.run(reader.close)})
        worker.stop()
        if not reading.cancelled():
            reading.exception()  # an interrupted read fails, as it should


def _read(reader: Reader) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def to_reader(schema: pa.Schema, batches: AsyncIterator[pa.RecordBatch], run: QueryRun) -> pa.RecordBatchReader:
    """A reader that DuckDB's threads pull from while the pipeline runs on the shared loop.

    The pipeline starts at the first pull. Reading to the end, closing or dropping the reader ends it, and returns when no
    part of it is left. An error of the pipeline is raised in the pulling thread and kept in ``run.error``.

    Parameters
    ----------
    schema : of every batch.
    batches : the pipeline; closed here.
    run : cancelling it ends the pipeline and wakes a thread that waits for it.
    """
    return pa.RecordBatchReader.from_batches(schema, _pull(_Pump(batches, run), run))


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class _Pump:
    """Runs the pipeline on the loop and hands its batches over."""

    def __init__(self, batches: AsyncIterator[pa.RecordBatch], run: QueryRun) -> None:
        self.ready: queue.SimpleQueue[pa.RecordBatch | _End] = queue.SimpleQueue()
        self._batches, self._run = batches, run
        self._room = asyncio.Semaphore(BATCHES_AHEAD)
        self._loop = loop.shared_loop().loop
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self.started = False

    def start(self) -> None:
        """Run the pipeline; an ``_End`` will follow in ``ready``, whatever happens."""
        self._loop.call_soon_threadsafe(self._start)
        self.started = True

    def _start(self) -> None:
        self._task = self._loop.create_task(self._pump())
        # Not in the task's own ``finally``: a task cancelled before its first step runs none.
        self._task.add_done_callback(self._ended)
        if self._cancelled:
            self._cancel()

    async def _pump(self) -> None:
        async with streams.closing(self._batches) as batches:
            async for batch in batches:
                await self._room.acquire()
                self.ready.put(batch)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error: BaseException | None
        if task.cancelled():
            error = self._run.error or Interrupted("The query was stopped before its end.")
        else:
            error = task.exception()
        self.ready.put(_End(error))

    def taken(self) -> None:
        """A batch went to DuckDB: there is room for another."""
        self._loop.call_soon_threadsafe(self._room.release)

    def cancel(self) -> None:
        """Stop soon; safe from any thread, before the start and after the end."""
        self._cancelled = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: so was the pipeline
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        # Once: a second cancellation would break off the clean-up that the first began, and leave calls in flight.
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()


def _pull(pump: _Pump, run: QueryRun) -> Iterator[pa.RecordBatch]:
    if loop.is_loop_thread():
        raise InternalError("A pipeline's result was read on the event loop's own thread, which would wait for itself.")
    forget, ended = run.on_cancel(pump.cancel), False
    try:
        pump.start()
        while not isinstance(item := pump.ready.get(), _End):
            run.check()  # what was ready when the query was cancelled is not wanted any more
            pump.taken()
            yield item
        ended = True
        if item.error is not None:
            run.fail(item.error)
            raise item.error
    except KeyboardInterrupt:
        run.cancel(Interrupted("The query was interrupted. Answers already received are kept."))
        raise
    finally:
        forget()
        if not ended:
            pump.cancel()
            if pump.started:
                _await_end(pump)


def _await_end(pump: _Pump) -> None:
    # A reader that is collected by chance on the loop's thread must not make the loop wait for itself.
    while not loop.is_loop_thread() and not isinstance(pump.ready.get(), _End):
        pass
