"""Filters over answers and projections that need no DuckDB: columns as they are, of the rows whose BOOLEANs are TRUE.

They are the commonest pieces between two calls and above the last, and through DuckDB each batch would cost more than its
calls do: some milliseconds, and a reader that waits for several batches before it gives the first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ...dataflow import streams
from ...plan.nodes import Compute, Filter, Keep, Sort
from .kept import Kept


@dataclass(frozen=True, slots=True)
class Selection:
    """What to do with each batch.

    Parameters
    ----------
    conditions : BOOLEAN columns; rows where each is TRUE stay (NULL is not TRUE).
    columns : of the input, in order, and schema : of the output, whose names may be others.
    """

    conditions: tuple[str, ...]
    columns: tuple[str, ...]
    schema: pa.Schema

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The selected part of a batch."""
        for name in self.conditions:
            batch = batch.filter(batch.column(name))
        return pa.RecordBatch.from_arrays([batch.column(name) for name in self.columns], schema=self.schema)


def selection(nodes: Sequence[Compute | Filter | Keep | Sort], schema: pa.Schema) -> Selection | None:
    """The nodes, the lowest first, as one selection from batches of ``schema``; ``None``: they compute something."""
    conditions: list[str] = []
    columns = tuple(schema.names)
    for node in nodes:
        match node:
            case Keep() if node.names:
                columns = node.names
            case Filter() if node.predicate.sql in columns and pa.types.is_boolean(
                schema.field(node.predicate.sql).type
            ):
                conditions.append(node.predicate.sql)
            case _:
                return None
    return Selection(tuple(conditions), columns, pa.schema([schema.field(name) for name in columns]))


async def run_selection(
    batches: AsyncIterator[pa.RecordBatch], chosen: Selection, kept: Kept | None = None
) -> AsyncIterator[pa.RecordBatch]:
    """Apply the selection to every batch; ``kept`` is told what became of each."""
    async with streams.closing(batches):
        async for batch in batches:
            result = chosen.apply(batch)
            if kept is not None:
                kept(batch, result)
            if result.num_rows:
                yield result
