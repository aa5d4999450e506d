"""Rows of a nested pipeline come together: per prefix, once all of them are there, in the order of their ordinals."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import compress
from typing import Any

import pyarrow as pa

from ...dataflow import streams
from ...errors import InternalError
from .ancestry import Ancestry, Path, path_names, paths


@dataclass(frozen=True, slots=True)
class Closed:
    """The rows below prefixes that have closed.

    Parameters
    ----------
    prefixes : in the order in which they closed, also those of which no row is left. batches : their rows, by path.
    """

    prefixes: list[Path]
    batches: list[pa.RecordBatch]

    def table(self, schema: pa.Schema) -> pa.Table:
        """All rows, sorted by path."""
        table = pa.Table.from_batches(self.batches, schema=schema)
        return table.sort_by([(name, "ascending") for name in path_names(schema)])

    def counted(self) -> dict[Path, int]:
        """How many rows there are below each prefix."""
        counted = dict.fromkeys(self.prefixes, 0)
        length = len(self.prefixes[0])
        for batch in self.batches:
            for path in paths(batch):
                counted[path[:length]] += 1
        return counted


class Gather:
    """Holds arriving rows until their prefix closes.

    Parameters
    ----------
    ancestry : what operators below tell, of whose nearest level these prefixes are.
    """

    def __init__(self, ancestry: Ancestry) -> None:
        self._level, self._ancestry = ancestry.levels[0], ancestry
        self._above = Ancestry(ancestry.levels[1:])
        self._batches: dict[int, pa.RecordBatch] = {}
        self._left: dict[int, int] = {}
        self._held: dict[Path, list[tuple[int, list[int]]]] = {}
        self._next = 0

    def arrived(self, batch: pa.RecordBatch) -> None:
        """Take rows in."""
        length, found = self._level.length, defaultdict[Path, list[int]](list)
        for row, path in enumerate(paths(batch)):
            found[path[:length]].append(row)
        number, self._next = self._next, self._next + 1
        self._batches[number], self._left[number] = batch, batch.num_rows
        for prefix, rows in found.items():
            self._held.setdefault(prefix, []).append((number, rows))
        # Only now: a prefix may close with the last of these rows.
        for prefix, rows in found.items():
            self._level.change(prefix, -len(rows))

    def closed(self) -> Closed | None:
        """What has closed since the last time; ``None``: nothing."""
        prefixes = self._level.closed()
        if not prefixes:
            return None
        taken: defaultdict[int, list[int]] = defaultdict(list)
        for prefix in prefixes:
            for number, rows in self._held.pop(prefix, ()):
                taken[number] += rows
        batches = [self._valid(self._take(number, rows)) for number, rows in taken.items()]
        for prefix in prefixes:
            self._ancestry.forget(prefix)
        return Closed(prefixes, [batch for batch in batches if batch.num_rows])

    def _take(self, number: int, rows: list[int]) -> pa.RecordBatch:
        """Some rows of a batch, for good: all of a batch at once, because to take a few costs as much as to take many."""
        batch = self._batches[number]
        self._left[number] -= len(rows)
        if not self._left[number]:
            del self._batches[number], self._left[number]
        return batch if len(rows) == batch.num_rows else batch.take(pa.array(rows, pa.int64()))

    def _valid(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Without rows that are void; only now is that known of all."""
        if not self._ancestry.guesses.void:
            return batch
        found = paths(batch)
        void = [self._ancestry.is_void(path) for path in found]
        self._above.gone(compress(found, void))
        return batch.filter(pa.array([not gone for gone in void], pa.bool_()))


async def gathered(batches: AsyncIterator[pa.RecordBatch], ancestry: Ancestry) -> AsyncIterator[Closed]:
    """What closes, the moment it does: with a row that arrives, or with one that is dropped on its way."""
    gather = Gather(ancestry)
    async with streams.closing(arrivals(batches, ancestry.levels[0].changed)) as arriving:
        async for batch in arriving:
            if batch is not None:
                gather.arrived(batch)
            while (closed := gather.closed()) is not None:
                yield closed
    nothing_left(ancestry)


def nothing_left(ancestry: Ancestry) -> None:
    """Rows that came and were neither gone nor gathered would be lost without a word."""
    if any(level.open for level in ancestry.levels[:1]):
        raise InternalError(
            "Rows of a nested query did not arrive. SET llm_disabled_rules = 'nested_ancestry, early_parts' runs it otherwise."
        )


async def arrivals(
    batches: AsyncIterator[pa.RecordBatch], changed: asyncio.Event
) -> AsyncIterator[pa.RecordBatch | None]:
    """Each batch, and ``None`` whenever something has changed meanwhile, also once at the end."""
    async with streams.closing(batches):
        arriving = asyncio.ensure_future(anext(batches, None))
        try:
            while True:
                if changed.is_set():
                    changed.clear()
                    yield None
                elif not arriving.done():
                    await _either(arriving, changed)
                elif (batch := arriving.result()) is not None:
                    arriving = asyncio.ensure_future(anext(batches, None))
                    yield batch
                else:
                    yield None
                    return
        finally:
            arriving.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await arriving


async def _either(arriving: asyncio.Future[Any], changed: asyncio.Event) -> None:
    change: asyncio.Future[Any] = asyncio.ensure_future(changed.wait())
    try:
        await asyncio.wait((arriving, change), return_when=asyncio.FIRST_COMPLETED)
    finally:
        change.cancel()
