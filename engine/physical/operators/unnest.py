"""The operator of an ``Unnest`` node: a row per element of a list column, whose fields become columns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ...dataflow import streams
from ...dataflow.demand import Demand
from ...plan.nodes import Unnest


def unnested_schema(plan: Unnest, schema: pa.Schema) -> pa.Schema:
    """What comes out of batches of ``schema``."""
    element = schema.field(plan.column).type.value_type
    fields = [element.field(index).with_name(column.name) for index, column in enumerate(plan.outputs)]
    return pa.schema([*(field for field in schema if field.name != plan.column), *fields])


def unnest(plan: Unnest, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of a batch, in order."""
    lists = batch.column(plan.column)
    rows, elements = _places(lists.value_lengths().to_pylist(), plan.keep_empty)
    kept = [c for name, c in zip(batch.schema.names, batch.columns, strict=True) if name != plan.column]
    # Copies: DuckDB refuses structs that begin in the middle of an array inside another.
    columns = [pc.take(c, rows) for c in kept] + [pc.take(c, elements) for c in lists.flatten().flatten()]
    return pa.RecordBatch.from_arrays(columns, schema=unnested_schema(plan, batch.schema))


def _places(lengths: Sequence[int | None], keep_empty: bool) -> tuple[pa.Array, pa.Array]:
    """Per row that comes out, the row that it comes from and its element's number (NULL: it has none)."""
    rows: list[int] = []
    elements: list[int | None] = []
    count = 0
    for row, length in enumerate(lengths):
        numbers = range(count, count + (length or 0))
        count = numbers.stop
        elements += numbers or ([None] if keep_empty else [])
        rows += [row] * (len(elements) - len(rows))
    return pa.array(rows, pa.int64()), pa.array(elements, pa.int64())


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
