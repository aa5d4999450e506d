"""Rows of a nested pipeline that nobody groups: given in the order of the query, each once nothing before it can come any more."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import pyarrow as pa

from ...dataflow import streams
from .ancestry import Ancestry, Level, Path, paths
from .gather import arrivals, nothing_left


class Release:
    """Rows by the row of the source that they are of, and by its part.

    A row may go when all rows of the source before its own are done, the list that it is a part of is final, and all parts before
    it are settled: they have arrived, or been dropped, with all that was made of them.
    """

    def __init__(self) -> None:
        changed = asyncio.Event()
        self._roots, self._parts = Level(1, changed), Level(2, changed)
        self.ancestry = Ancestry((self._parts, self._roots), ended=self._ended)
        self.changed = changed
        self._rows: defaultdict[int, dict[Path, pa.RecordBatch]] = defaultdict(dict)
        self._finals: dict[int, int] = {}
        self._settled: defaultdict[int, set[int]] = defaultdict(set)
        self._done: set[int] = set()
        self._root = self._part = 0

    def arrived(self, batch: pa.RecordBatch) -> None:
        """Take rows in."""
        found = paths(batch)
        for row, path in enumerate(found):
            self._rows[path[0]][path] = batch.slice(row, 1)
        self.ancestry.gone(found)

    def released(self) -> list[pa.RecordBatch]:
        """The rows that may go, in order."""
        for root, part in self._parts.closed():
            self._settled[root].add(part)
        for (root,) in self._roots.closed():
            self._done.add(root)
        self._roots.held = len(self._done)
        out: list[pa.RecordBatch] = []
        while self._root in self._done:
            out += self._take(self._finals.get(self._root, 0))
            self._next_root()
        out += self._take(self._ready())
        return out

    def _ended(self, path: Path, parts: int) -> None:
        self._finals[path[0]] = parts
        self.changed.set()

    def _ready(self) -> int:
        """The part of the first row before which all are settled."""
        final, settled, part = self._finals.get(self._root, 0), self._settled[self._root], self._part
        while part < final and (part in settled or self.ancestry.is_void((self._root, part))):
            part += 1
        return part

    def _take(self, end: int) -> list[pa.RecordBatch]:
        """Rows of the first row's parts before one."""
        rows = self._rows[self._root]
        taken = sorted(path for path in rows if path[1] < end) if end > self._part else []
        self._part = max(self._part, end)
        batches = [rows.pop(path) for path in taken]
        return [batch for path, batch in zip(taken, batches, strict=True) if not self.ancestry.is_void(path)]

    def _next_root(self) -> None:
        root = self._root
        self._done.discard(root)
        self.ancestry.forget((root,))
        for known in (self._rows, self._finals, self._settled):
            known.pop(root, None)
        self._roots.held = len(self._done)
        self._roots.room.set()
        self._root, self._part = root + 1, 0


async def run_release(
    batches: AsyncIterator[pa.RecordBatch], release: Release, schema: pa.Schema
) -> AsyncIterator[pa.RecordBatch]:
    """The rows in the order of the query, with the columns of ``schema`` (which are those without the path)."""
    async with streams.closing(arrivals(batches, release.changed)) as arriving:
        async for batch in arriving:
            if batch is not None:
                release.arrived(batch)
            if rows := release.released():
                together = pa.concat_batches(rows)
                yield pa.RecordBatch.from_arrays([together.column(name) for name in schema.names], schema=schema)
    nothing_left(release.ancestry)
