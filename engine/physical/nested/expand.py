"""A row per element of a list, with one more ordinal in the path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import compress

import pyarrow as pa

from ...dataflow import streams
from ...plan.nodes import Unnest
from ..operators.unnest import unnest
from .ancestry import Ancestry, Path, path_field, path_names, paths
from .hearing import FROM, LAST, VOID


async def run_expand(
    batches: AsyncIterator[pa.RecordBatch], plan: Unnest, ancestry: Ancestry
) -> AsyncIterator[pa.RecordBatch]:
    """Apply it to every batch; the levels above hear what became of each row."""
    async with streams.closing(batches):
        async for batch in batches:
            heard = LAST.name in batch.schema.names
            result, ended = _heard(plan, batch, ancestry) if heard else _whole(plan, batch)
            # First the children, then the parents: no count may touch zero in between.
            ancestry.came(paths(result))
            ancestry.ended(ended.keys(), ended.values())
            ancestry.gone(list(ended))
            if result.num_rows:
                yield result


def expanded(plan: Unnest, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of a batch, in order, numbered per parent."""
    ordinals = [i for count in _counts(plan, batch) for i in range(count)]
    depth = len(path_names(batch.schema))
    return unnest(plan, batch).append_column(path_field(depth), pa.array(ordinals, pa.int64()))


def _whole(plan: Unnest, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[Path, int]]:
    """The rows of lists that are there, and how many each parent has."""
    return expanded(plan, batch), dict(zip(paths(batch), _counts(plan, batch), strict=True))


def _counts(plan: Unnest, batch: pa.RecordBatch) -> list[int]:
    lengths = batch.column(plan.column).value_lengths().to_pylist()
    return [length or int(plan.keep_empty) for length in lengths]


def _heard(plan: Unnest, batch: pa.RecordBatch, ancestry: Ancestry) -> tuple[pa.RecordBatch, dict[Path, int]]:
    """The rows that are new in lists to which somebody listens, and how many the parents had that will have no more."""
    starts, void, last = (batch.column(field.name).to_pylist() for field in (FROM, VOID, LAST))
    parents, counts = paths(batch), _counts(plan, batch)
    ancestry.guesses.grow(path for path, whole in zip(parents, last, strict=True) if not whole)
    for path, start, count in zip(parents, starts, void, strict=True):
        ancestry.void((*path, ordinal) for ordinal in range(start, start + count))
    # Those that are void keep their ordinals, so what is new behind them has others.
    shifts = [length_void if whole else start for start, length_void, whole in zip(starts, void, last, strict=True)]
    children = expanded(plan, batch.drop_columns([FROM.name, VOID.name, LAST.name]))
    seen = [start if whole else 0 for start, whole in zip(starts, last, strict=True)]
    new = [i >= left for count, left in zip(counts, seen, strict=True) for i in range(count)]
    ordinals = [i + shift for count, shift in zip(counts, shifts, strict=True) for i in range(count)]
    own = children.num_columns - 1
    numbered = children.set_column(own, children.schema.field(own), pa.array(ordinals, pa.int64()))
    out = [count + voided for count, voided in zip(counts, void, strict=True)]
    return numbered.filter(pa.array(new, pa.bool_())), dict(compress(zip(parents, out, strict=True), last))
