"""A row per element of a list, with one more ordinal in the path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import compress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...dataflow import streams
from ...plan.nodes import Unnest
from ..operators.unnest import Counts, unnest, unnested_counts
from .ancestry import Ancestry, path_field, path_names, paths
from .hearing import FROM, LAST, VOID


async def run_expand(
    batches: AsyncIterator[pa.RecordBatch], plan: Unnest, ancestry: Ancestry
) -> AsyncIterator[pa.RecordBatch]:
    """Apply it to every batch; the levels above hear what became of each row."""
    async with streams.closing(batches):
        async for batch in batches:
            result = _grown(plan, batch, ancestry) if LAST.name in batch.schema.names else _whole(plan, batch, ancestry)
            if result.num_rows:
                yield result


def expanded(plan: Unnest, batch: pa.RecordBatch, counts: Counts) -> pa.RecordBatch:
    """The rows of a batch, in order, numbered per parent; each row has so many."""
    ordinals = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    return unnest(plan, batch).append_column(path_field(len(path_names(batch.schema))), pa.array(ordinals, pa.int64()))


def _whole(plan: Unnest, batch: pa.RecordBatch, ancestry: Ancestry) -> pa.RecordBatch:
    """The rows of lists that are there."""
    counts = unnested_counts(plan, batch)
    ancestry.became(dict(zip(paths(batch), counts.tolist(), strict=True)))
    return expanded(plan, batch, counts)


def _counted_on(plan: Unnest, children: pa.RecordBatch, before: Counts) -> pa.RecordBatch:
    """With the numbers that elements have in the whole of their list, so many of which have left before."""
    at = children.schema.get_field_index(plan.outputs[-1].name)
    counted = pc.call_function("add", [children.column(at), pa.array(before, pa.int64())])
    return children.set_column(at, children.schema.field(at), counted)


def _grown(plan: Unnest, batch: pa.RecordBatch, ancestry: Ancestry) -> pa.RecordBatch:
    """The rows that are new in lists to which somebody listens."""
    starts, void, last = (batch.column(field.name).to_numpy(zero_copy_only=False) for field in (FROM, VOID, LAST))
    lists = batch.drop_columns([FROM.name, VOID.name, LAST.name])
    if last.all() and not starts.any() and not void.any():
        return _whole(plan, lists, ancestry)
    parents, counts = paths(batch), unnested_counts(plan, lists)
    ancestry.guesses.grow(compress(parents, ~last))
    for path, start, count in zip(parents, starts.tolist(), void.tolist(), strict=True):
        ancestry.void((*path, ordinal) for ordinal in range(start, start + count))
    children = expanded(plan, lists, counts)
    if plan.ordinal == "counted":
        children = _counted_on(plan, children, np.repeat(np.where(last, 0, starts), counts))
    own = children.num_columns - 1
    numbers = children.column(own).to_numpy()
    new = numbers >= np.repeat(np.where(last, starts, 0), counts)
    # Those that are void keep their ordinals, so what is new behind them has others.
    ordinals = pa.array(numbers + np.repeat(np.where(last, void, starts), counts), pa.int64())
    result = children.set_column(own, children.schema.field(own), ordinals).filter(pa.array(new, pa.bool_()))
    # First the children, then the parents: no count may touch zero in between.
    ancestry.came(paths(result))
    ended = dict(compress(zip(parents, (counts + void).tolist(), strict=True), last))
    ancestry.ended(ended.keys(), ended.values())
    ancestry.gone(ended)
    return result
