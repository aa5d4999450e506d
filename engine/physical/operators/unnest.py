"""The operator of an ``Unnest`` node: a row per element of a list column, which becomes a column, or one per field."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...dataflow import streams
from ...dataflow.demand import Demand
from ...plan.nodes import Unnest

Counts = npt.NDArray[np.int64]


def unnested_schema(plan: Unnest, schema: pa.Schema) -> pa.Schema:
    """What comes out of batches of ``schema``."""
    element = schema.field(plan.column).type.value_type
    made = [pa.field("", element)] if plan.whole else [element.field(index) for index in range(element.num_fields)]
    if plan.ordinal == "counted":
        made.append(pa.field("", pa.int64()))
    fields = [field.with_name(column.name) for field, column in zip(made, plan.outputs, strict=True)]
    return pa.schema([*(field for field in schema if field.name != plan.column), *fields])


def unnested_counts(plan: Unnest, batch: pa.RecordBatch) -> Counts:
    """How many rows become of each."""
    lengths = _lengths(batch.column(plan.column))
    return np.maximum(lengths, 1) if plan.keep_empty else lengths


def unnest(plan: Unnest, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of a batch, in order."""
    lists = batch.column(plan.column)
    lengths = _lengths(lists)
    rows, elements = _places(lengths, unnested_counts(plan, batch))
    kept = [c for name, c in zip(batch.schema.names, batch.columns, strict=True) if name != plan.column]
    # Copies: DuckDB refuses structs that begin in the middle of an array inside another.
    columns = [pc.take(c, rows) for c in kept] + [pc.take(c, elements) for c in _elements(plan, lists, lengths)]
    return pa.RecordBatch.from_arrays(columns, schema=unnested_schema(plan, batch.schema))


def _elements(plan: Unnest, lists: pa.Array, lengths: Counts) -> list[pa.Array]:
    """What the outputs take their values from."""
    values = lists.flatten()
    made = [values] if plan.whole else values.flatten()
    if plan.ordinal == "counted":
        before = np.repeat(np.cumsum(lengths) - lengths, lengths)
        made = [*made, pa.array(np.arange(1, len(values) + 1) - before, pa.int64())]
    return list(made)


def _lengths(lists: pa.Array) -> Counts:
    lengths: Counts = pc.fill_null(lists.value_lengths(), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths


def _places(lengths: Counts, counts: Counts) -> tuple[pa.Array, pa.Array]:
    """Per row that comes out, the row that it comes from and its element's number (NULL: it has none)."""
    rows = np.repeat(np.arange(len(counts)), counts)
    none = np.repeat(lengths == 0, counts)
    return pa.array(rows, pa.int64()), pa.array(np.cumsum(~none) - 1, pa.int64(), mask=none)


async def run_unnest(
    batches: AsyncIterator[pa.RecordBatch], plan: Unnest, demand: Demand | None
) -> AsyncIterator[pa.RecordBatch]:
    """Apply it to every batch; ``demand`` is told how many rows became how many."""
    async with streams.closing(batches):
        async for batch in batches:
            result = unnest(plan, batch)
            if demand is not None:
                demand.multiplied(batch.num_rows, result.num_rows)
            if result.num_rows:
                yield result
