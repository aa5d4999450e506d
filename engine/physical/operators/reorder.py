"""Rows asked in an order in which their prompts share beginnings, and given back in their own.

DuckDB keeps the order of rows, and ``list()`` or ``first()`` above can see it: so it is always restored. What is held back
for that stays in proportion (:mod:`.gather`), and rows whose order would save little are left as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ....udfs.models.base import Generate
from ....udfs.prompts.inputs import parted
from ....udfs.spec import Task
from ...dataflow import streams
from ...dataflow.lookups import in_thread
from ...plan.nodes import SemanticCall
from ..arranged import Arranged, places
from ..prefix_order import (
    CHARACTERS_PER_TOKEN,
    Grant,
    Ints,
    Table,
    granted,
    in_lanes,
    input_order,
    percent,
    remembered,
    sorted_rows,
    without_repeats,
)
from ..slices import sliced
from .gather import Gatherer

Batches = AsyncIterator[pa.RecordBatch]

WORTHWHILE = 0.05
"""Share of prompt tokens that another order has to save."""
SAMPLE_ROWS = 2048
LOOKED_AT = 64
"""Rows looked at for one that is asked."""


@dataclass(frozen=True, slots=True)
class Literally:
    """An input that is the same for all rows."""

    text: str


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows under way: how many, and their order if it is not their own."""

    rows: int
    order: Ints | None


class Prefixes:
    """How the prompts of a call are to share beginnings: decided from the rows.

    Parameters
    ----------
    call, task : what is asked. lanes : calls in flight. grant : what the model's cache grants.
    arranged : the model whose inputs may be put in order; ``None``: they stay as written.
    notes : what EXPLAIN ANALYZE says of the call.
    """

    def __init__(
        self,
        call: SemanticCall,
        task: Task,
        *,
        lanes: int,
        grant: Grant,
        arranged: Arranged | None,
        notes: dict[str, str],
    ) -> None:
        self._call, self._task, self._lanes, self._grant = call, task, lanes, grant
        self._arranged, self._notes = arranged, notes
        self._inputs: tuple[str | Literally, ...] = call.arguments
        self._head = self._rows = 0
        self._before = self._after = 0.0

    def begin(self, sample: pa.RecordBatch) -> None:
        """Find out how the prompt is laid out, and decide on the order of its inputs, for the whole query."""
        row = _whole_row(sample, self._call.arguments)
        request = None if row is None else next(iter(self._task.requests(row)), None)
        if not isinstance(request, Generate):
            return
        self._head = len(request.system) // CHARACTERS_PER_TOKEN
        if (where := places(self._task, len(self._call.arguments))) is None:
            return
        head, blocks = parted(request.user)
        self._head = (len(request.system) + len(head)) // CHARACTERS_PER_TOKEN
        named = dict(zip(where, self._call.arguments, strict=True))
        self._inputs = tuple(named.get(i) or Literally(block) for i, block in enumerate(blocks))
        if self._arranged is not None and (best := self._better(self._table(sample))) is not None:
            self._arranged.order, self._inputs = best, tuple(self._inputs[i] for i in best)
            self._notes["inputs"] = f"in the order {', '.join(blocks[i].partition(':')[0] for i in best)}"

    def of(self, rows: pa.RecordBatch) -> tuple[_Chunk, pa.RecordBatch]:
        """The chunk, and its rows as they are to be asked."""
        order = self._row_order(self._table(rows))
        return _Chunk(rows.num_rows, order), rows if order is None else rows.take(pa.array(order))

    def _better(self, table: Table) -> tuple[int, ...] | None:
        """The best order of the inputs; ``None``: theirs is as good."""
        best = input_order(table)
        gain = remembered(table.arranged(best), self._grant) - remembered(table, self._grant)
        return best if gain >= WORTHWHILE else None

    def _row_order(self, table: Table) -> Ints | None:
        """The order to ask the rows in; ``None``: their own is as good."""
        first, repeats = without_repeats(table, sorted_rows(table))
        asked = in_lanes(first, self._lanes)
        before, after = (granted(table, order, self._lanes, self._grant) for order in (np.sort(first), asked))
        better = after - before >= WORTHWHILE
        self._rows += len(first)
        self._before += before * len(first)
        self._after += (after if better else before) * len(first)
        now, then = percent(self._before / self._rows), percent(self._after / self._rows)
        self._notes["shared prefix"] = f"about {then} of a prompt, {now} in the table's own order"
        return np.concatenate((asked, repeats)) if better else None

    def _table(self, rows: pa.RecordBatch) -> Table:
        columns = [
            pa.repeat(pa.scalar(given.text), rows.num_rows) if isinstance(given, Literally) else rows.column(given)
            for given in self._inputs
        ]
        return Table.of(columns, self._head)


def _whole_row(rows: pa.RecordBatch, names: Sequence[str]) -> tuple[Any, ...] | None:
    """The first row without a NULL among the first few."""
    columns = [rows.column(name).slice(0, LOOKED_AT).to_pylist() for name in names]
    return next((row for row in zip(*columns, strict=True) if None not in row), None)


async def run_looked_at(batches: Batches, prefixes: Prefixes) -> Batches:
    """The batches as they are, after a look at the first: in a thread, sorting takes time that the event loop lacks."""
    begun = False
    async with streams.closing(batches):
        async for batch in batches:
            if not begun and batch.num_rows:
                await in_thread(partial(prefixes.begin, sliced(batch, 0, SAMPLE_ROWS)))
                begun = True
            yield batch


async def run_reordered(batches: Batches, ask: Callable[[Batches], Batches], prefixes: Prefixes) -> Batches:
    """What ``ask`` makes of the batches: the same rows in the same order, asked in another.

    Parameters
    ----------
    ask : an operator that adds columns, and keeps rows and their order; it may cut batches.
    """
    under_way: deque[_Chunk] = deque()
    async with streams.closing(ask(_ordered(batches, prefixes, under_way))) as answered:
        async for batch in _restored(answered, under_way):
            yield batch


async def _ordered(batches: Batches, prefixes: Prefixes, under_way: deque[_Chunk]) -> Batches:
    async with streams.closing(Gatherer(batches).chunks()) as chunks:
        async for rows in chunks:
            chunk, asked = await in_thread(partial(prefixes.of, rows))
            under_way.append(chunk)
            yield asked


async def _restored(batches: Batches, under_way: deque[_Chunk]) -> Batches:
    parts: list[pa.RecordBatch] = []
    gone = 0  # rows of the chunk in front that are here
    async for batch in batches:
        start = 0
        while start < batch.num_rows:
            chunk = under_way[0]
            parts.append(sliced(batch, start, chunk.rows - gone))
            start, gone = start + parts[-1].num_rows, gone + parts[-1].num_rows
            if chunk.order is None:
                yield parts.pop()
            elif gone == chunk.rows:
                yield pa.concat_batches(parts).take(pa.array(np.argsort(chunk.order)))
                parts = []
            if gone == chunk.rows:
                under_way.popleft()
                gone = 0
