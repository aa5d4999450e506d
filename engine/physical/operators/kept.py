"""Who wants to know which rows an operator drops."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from ...dataflow.demand import Demand

Kept = Callable[[pa.RecordBatch, pa.RecordBatch], None]
"""Told of every batch what went in and what came out of it."""


def for_demand(demand: Demand | None) -> Kept | None:
    """Rows that a filter drops will not serve a LIMIT."""
    if demand is None:
        return None

    def kept(before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        if after.num_rows < before.num_rows:
            demand.dropped(before.num_rows - after.num_rows)

    return kept
