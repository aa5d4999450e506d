"""Rows of a nested pipeline come together: per prefix, once all of them are there, in the order of their ordinals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Held:
    """A batch that arrived, and which of its rows, by number and path, belong to a prefix."""

    batch: pa.RecordBatch
    rows: list[tuple[int, Path]] = field(default_factory=list)


class Gather:
    """Holds arriving rows until their prefix closes.

    Parameters
    ----------
    ancestry : what operators below tell, of whose nearest level these prefixes are.
    """

    def __init__(self, ancestry: Ancestry) -> None:
        self._level, self._ancestry = ancestry.levels[0], ancestry
        self._above = Ancestry(ancestry.levels[1:])
        self._held: dict[Path, list[_Held]] = {}

    def arrived(self, batch: pa.RecordBatch) -> None:
        """Take rows in."""
        found: dict[Path, _Held] = {}
        for row, path in enumerate(paths(batch)):
            found.setdefault(path[: self._level.length], _Held(batch)).rows.append((row, path))
        for prefix, held in found.items():
            self._held.setdefault(prefix, []).append(held)
        # Only now: a prefix may close with the last of these rows.
        for prefix, held in found.items():
            self._level.change(prefix, -len(held.rows))

    def closed(self) -> Closed | None:
        """What has closed since the last time; ``None``: nothing."""
        prefixes = self._level.closed()
        if not prefixes:
            return None
        batches = [
            held.batch.take(pa.array(rows, pa.int64()))
            for prefix in prefixes
            for held in self._held.pop(prefix, ())
            if (rows := self._valid(held))
        ]
        for prefix in prefixes:
            self._ancestry.forget(prefix)
        return Closed(prefixes, batches)

    def _valid(self, held: _Held) -> list[int]:
        """Which rows are not void; only now is that known of all."""
        void = {path for _, path in held.rows if self._ancestry.is_void(path)}
        self._above.gone(void)
        return [row for row, path in held.rows if path not in void]


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
