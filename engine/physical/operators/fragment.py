"""Filters and expressions between semantic calls: DuckDB again, a batch at a time, on a bare connection."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import duckdb
import pyarrow as pa

from ...dataflow import streams
from ...dataflow.worker import Worker
from .kept import Kept

BATCH = "__batch"
_OF_VALUES = (duckdb.DataError, duckdb.InvalidInputException)
_OUR_WORDS = re.compile(r" when casting from source column __\w+|\n+LINE \d+:.*", re.DOTALL)

Failed = Callable[[pa.RecordBatch, Exception], None]


class _Shown:
    """What DuckDB reads under one name: the batch of the moment."""

    batch: pa.RecordBatch | None = None

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        assert self.batch is not None  # it is read while it is there
        return pa.Table.from_batches([self.batch]).__arrow_c_stream__(requested_schema)


class BatchQuery:
    """A row-wise query applied to one Arrow batch after another.

    Parameters
    ----------
    connection : a bare connection, which this object owns.
    sql : reads ``__batch``; yields at most the rows it gets, in their order. It may be replaced between two batches.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, sql: str) -> None:
        self._connection = connection
        self._connection.execute("SET threads = 1")
        self._shown = _Shown()
        self._prepared = ""
        self.sql = sql

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The query's result for one batch, as one batch."""
        self._shown.batch = batch
        try:
            table = self._result()
        except duckdb.Error as error:
            # The text is ours, and so are its columns' names.
            raise type(error)(_OUR_WORDS.sub("", str(error))) from None
        finally:
            self._shown.batch = None
        if table.num_rows == 0:
            return pa.RecordBatch.from_pylist([], schema=table.schema)
        return table.combine_chunks().to_batches()[0]

    def _result(self) -> pa.Table:
        # Prepared once: to show a batch anew and plan the text for it takes most of the time that a small batch takes.
        if not self._prepared:
            self._connection.register(BATCH, self._shown)
        if self._prepared != self.sql:
            self._connection.execute(f"PREPARE __query AS {self.sql}")
            self._prepared = self.sql
        return self._connection.sql("EXECUTE __query").to_arrow_table()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


async def run_fragment(
    batches: AsyncIterator[pa.RecordBatch],
    query: BatchQuery,
    kept: Kept | None = None,
    failed: Failed | None = None,
) -> AsyncIterator[pa.RecordBatch]:
    """Apply the query to every batch; ``kept`` is told what became of each.

    Parameters
    ----------
    failed : told of each row that cannot be computed: it raises the error, or the row is dropped.
    """
    worker = Worker("anserdb-fragment")
    try:
        async with streams.closing(batches):
            async for batch in batches:
                try:
                    result = await worker.run(partial(query.apply, batch))
                except _OF_VALUES:
                    if failed is None:
                        raise
                    result = await _row_by_row(batch, lambda rows: worker.run(partial(query.apply, rows)), failed)
                if kept is not None:
                    kept(batch, result)
                if result.num_rows:
                    yield result
    finally:
        await worker.run(query.close)
        worker.stop()


async def _row_by_row(
    batch: pa.RecordBatch, applied: Callable[[pa.RecordBatch], Awaitable[pa.RecordBatch]], failed: Failed
) -> pa.RecordBatch:
    """The result for a batch of which some row cannot be computed."""
    results = [await applied(batch.slice(0, 0))]
    for index in range(batch.num_rows):
        row = batch.slice(index, 1)
        try:
            results.append(await applied(row))
        except _OF_VALUES as error:
            failed(row, error)
    return pa.concat_batches(results)
