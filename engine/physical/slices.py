"""A part of a batch that DuckDB can read: it refuses structs that begin in the middle of an array inside another."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def sliced(batch: pa.RecordBatch, start: int, size: int) -> pa.RecordBatch:
    """``size`` rows from ``start``; nested columns are copied, all others are a view."""
    part = batch.slice(start, size)
    if part.num_rows == batch.num_rows or not any(pa.types.is_nested(t) for t in batch.schema.types):
        return part
    rows = pa.array(range(start, start + part.num_rows), pa.int64())
    columns = [
        pc.take(whole, rows) if pa.types.is_nested(whole.type) else view
        for whole, view in zip(batch.columns, part.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
