"""Rows of the source set out: each gets its ordinal, and only so many may be under way at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pyarrow as pa

from ...dataflow import streams
from ..slices import sliced
from .ancestry import Ancestry, Level, Path, path_field

UNIQUE = "__unique"
"""A column of the source that says whether what was to be checked is a key; the same in every row."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many rows of the source may be open at once.

    Parameters
    ----------
    rows : at most. wanted : how many groups the reader still wants (a LIMIT).
    """

    rows: int
    wanted: Callable[[], int] | None = None

    def left(self, outermost: Level) -> int:
        """Rows that may set out now."""
        if not outermost.length:
            return self.rows  # one group of all rows: none of them is done before the last has come
        most = self.rows if self.wanted is None else min(self.rows, max(1, self.wanted()))
        return max(0, most - outermost.open - outermost.held)


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
            start = 0
            while start < batch.num_rows:
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
    ordinals = range(first, first + batch.num_rows)
    ancestry.came((ordinal,) for ordinal in ordinals)
    return batch.append_column(path_field(0), pa.array(ordinals, pa.int64()))
