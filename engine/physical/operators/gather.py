"""Batches put together to chunks that grow: the first few rows at once, then about as many as have gone before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pyarrow as pa

from ...dataflow import streams
from ..slices import sliced

FIRST_ROWS = 8
MOST_ROWS = 16_384
MOST_BYTES = 16 << 20
PATIENCE_S = 0.05
"""So long a batch is waited for to make a chunk larger. A source that is slower gives smaller chunks, and loses no time."""


class Gatherer:
    """Bounded in rows and bytes.

    Parameters
    ----------
    batches : closed here.
    """

    def __init__(self, batches: AsyncIterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._kept: pa.RecordBatch | None = None
        self._reading: asyncio.Task[pa.RecordBatch | None] | None = None
        self._ended = False
        self._error: BaseException | None = None

    async def chunks(self) -> AsyncIterator[pa.RecordBatch]:
        """The rows, in order."""
        most = FIRST_ROWS
        try:
            while (kept := await self._filled(most)) is not None:
                chunk = sliced(kept, 0, _fitting(kept, most))
                left = kept.num_rows - chunk.num_rows
                self._kept = sliced(kept, chunk.num_rows, left) if left else None
                yield chunk
                most = min(2 * most, MOST_ROWS)
        finally:
            await self._close()

    async def _filled(self, most: int) -> pa.RecordBatch | None:
        """At least ``most`` rows, or what came in time; ``None`` at the end."""
        while self._wants(most):
            self._reading = self._reading or asyncio.create_task(_next(self._batches))
            done, _ = await asyncio.wait({self._reading}, timeout=None if self._kept is None else PATIENCE_S)
            if not done:
                break
            self._take(self._reading)
            self._reading = None
        if self._kept is None and self._error is not None:  # the rows before it were wanted first
            raise self._error
        return self._kept

    def _wants(self, most: int) -> bool:
        if self._ended:
            return False
        return self._kept is None or (self._kept.num_rows < most and self._kept.nbytes < MOST_BYTES)

    def _take(self, reading: asyncio.Task[pa.RecordBatch | None]) -> None:
        error = asyncio.CancelledError() if reading.cancelled() else reading.exception()
        if error is not None:
            self._ended, self._error = True, error
            return
        batch = reading.result()
        if batch is None:
            self._ended = True
        elif batch.num_rows:
            self._kept = batch if self._kept is None else pa.concat_batches([self._kept, batch])

    async def _close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            if not self._reading.cancelled():
                self._reading.exception()
        await streams.close(self._batches)


async def _next(batches: AsyncIterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    return await anext(batches, None)


def _fitting(kept: pa.RecordBatch, most: int) -> int:
    """How many of the rows a chunk may hold."""
    rows: int = kept.num_rows
    by_bytes = MOST_BYTES * rows // max(1, kept.nbytes)
    return max(1, min(rows, most, int(by_bytes)))
