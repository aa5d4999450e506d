"""Rows of the source set out: each gets its ordinal, and only so many may be under way at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import numpy as np
import pyarrow as pa

from ...dataflow import streams
from ..slices import sliced
from .ancestry import Ancestry, Level, Path, path_field

UNIQUE = "__unique"
"""A column of the source that says whether what was to be checked is a key; the same in every row."""
KNOWN_ROWS = 8
"""Where so many rows take a call less than one, answers are known."""
MOST_TIMES, MOST_BYTES = 8, 16 << 20
"""So many times the rows, and of so many bytes, may be open then."""


class Room:
    """How many rows of the source may be open at once.

    Rows of which the answers are known already close as fast as they set out, and what it costs to hand them on is then most
    of their cost: so more of them may be open, that they are handed on together.

    Parameters
    ----------
    rows : at most, of those that the model has to be asked about. wanted : how many groups the reader still wants (a LIMIT).
    calls : how many calls were made so far; ``None``: it is never more than ``rows``.
    """

    def __init__(
        self, rows: int, wanted: Callable[[], int] | None = None, calls: Callable[[], int] | None = None
    ) -> None:
        self._least = self._most = rows
        self._wanted, self._calls = wanted, calls
        self._closed = self._made = 0

    def left(self, outermost: Level) -> int:
        """Rows that may set out now."""
        if not outermost.length:
            return self._least  # one group of all rows: none of them is done before the last has come
        most = self._most if self._wanted is None else min(self._least, max(1, self._wanted()))
        return max(0, most - outermost.open - outermost.held)

    def turn(self, closed: int, row_bytes: int) -> None:
        """So many rows are done, and rows to come are of about this size: perhaps more may be open from now on."""
        if self._calls is None or closed - self._closed < self._most:
            return
        made = self._calls()
        known = (made - self._made) * KNOWN_ROWS <= closed - self._closed
        more = min(2 * self._most, MOST_TIMES * self._least, MOST_BYTES // max(row_bytes, 1))
        self._most = max(self._least, more) if known else self._least
        self._closed, self._made = closed, made


def roots_schema(schema: pa.Schema) -> pa.Schema:
    """What comes out of batches of ``schema``."""
    fields = [field for field in schema if field.name != UNIQUE]
    return pa.schema([*fields, path_field(0)])


async def run_roots(
    batches: AsyncIterator[pa.RecordBatch], ancestry: Ancestry, room: Room
) -> AsyncIterator[pa.RecordBatch]:
    """The batches with the first ordinal of the path, cut as there is room.

    Where what was to be checked turns out to be no key, the groups of all levels are made when all rows are there.
    """
    everything: Path = ()
    ancestry.came([everything])
    ordinal = 0
    async with streams.closing(batches):
        async for batch in batches:
            if UNIQUE in batch.schema.names:
                if ordinal == 0 and batch.num_rows and not batch.column(UNIQUE)[0].as_py():
                    _one_group(ancestry)
                batch = batch.drop_columns([UNIQUE])
            start, row_bytes = 0, batch.nbytes // max(batch.num_rows, 1)
            while start < batch.num_rows:
                room.turn(ordinal - ancestry.levels[-1].open, row_bytes)
                size = min(batch.num_rows - start, await _room(ancestry.levels[-1], room))
                yield _numbered(sliced(batch, start, size), ordinal, ancestry)
                start, ordinal = start + size, ordinal + size
    ancestry.gone([everything])


def _one_group(ancestry: Ancestry) -> None:
    everything: Path = ()
    for level in ancestry.levels:
        level.length = 0
    ancestry.came([everything])


async def _room(outermost: Level, room: Room) -> int:
    while not (left := room.left(outermost)):
        outermost.room.clear()
        await outermost.room.wait()
    return left


def _numbered(batch: pa.RecordBatch, first: int, ancestry: Ancestry) -> pa.RecordBatch:
    ordinals = np.arange(first, first + batch.num_rows)
    ancestry.came(zip(ordinals.tolist()))
    return batch.append_column(path_field(0), pa.array(ordinals, pa.int64()))
