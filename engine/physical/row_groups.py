"""Rows for DuckDB in groups as large as those of its own tables.

It reads batches with several threads, one batch each. What depends on the order of rows without saying so (``DISTINCT ON``, ``first``, a window
over equal keys) comes out of a table of up to 122,880 rows as if one thread had read it, and shall not come out otherwise
because rows were answered a few at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from ..dataflow import streams
from ..plan.nodes import Relation
from .partial import CUT
from .pipe import Batches

MOST_ROWS = 122_880
"""A row group of DuckDB's storage."""
MOST_BYTES = 16 << 20


def waits(plan: Relation) -> bool:
    """Whether a statement has no row before it has read all of its input, so that larger batches come no later."""
    return plan.order_by is not None or not (plan.rowwise or CUT.search(plan.sql))


class _Group:
    """Batches that will be one."""

    def __init__(self) -> None:
        self._parts: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """One more; the group before it, if both together were too large."""
        rows, size = batch.num_rows, batch.nbytes
        full = self._rows + rows > MOST_ROWS or self._bytes + size > MOST_BYTES
        before = self.taken() if full else None
        self._parts.append(batch)
        self._rows += rows
        self._bytes += size
        return before

    def taken(self) -> pa.RecordBatch | None:
        """The group; ``None``: it is empty."""
        parts, self._parts = self._parts, []
        self._rows = self._bytes = 0
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in the same order, in fewer batches.

    >>> few = pa.RecordBatch.from_pydict({"x": [1, 2]})
    >>> [group.num_rows for group in row_groups([few, few, few])]
    [6]
    """
    group = _Group()
    for batch in batches:
        if (before := group.add(batch)) is not None:
            yield before
    if (last := group.taken()) is not None:
        yield last


async def in_row_groups(batches: Batches) -> Batches:
    """The same for what is under way."""
    group = _Group()
    async with streams.closing(batches):
        async for batch in batches:
            if (before := group.add(batch)) is not None:
                yield before
    if (last := group.taken()) is not None:
        yield last
