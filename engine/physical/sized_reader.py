"""Batches of a size in rows, or of fewer rows where these are wide: DuckDB cuts its results by rows alone."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

GRAIN = 128
"""Rows to read at once; a batch is made of several. Fewer would not help: DuckDB itself holds some thousands of rows."""
MOST_BYTES = 2 << 20
"""Rows before and after the operators wait in batches, and a few of those are under way at any time."""


class SizedReader:
    """What reads like the reader that it is given, in larger batches.

    Parameters
    ----------
    reader : of small batches. rows : of a batch, at most, as long as it has no more than ``most_bytes``; at least one of the
        reader's batches.

    >>> numbers = pa.RecordBatch.from_pydict({"x": [1, 2]})
    >>> reader = SizedReader(pa.RecordBatchReader.from_batches(numbers.schema, [numbers] * 5), rows=4)
    >>> [batch.num_rows for batch in reader]
    [4, 4, 2]
    """

    def __init__(self, reader: pa.RecordBatchReader, rows: int, most_bytes: int = MOST_BYTES) -> None:
        self._reader, self._most_rows, self._most_bytes = reader, rows, most_bytes
        self._over = False
        self.schema: pa.Schema = reader.schema

    def read_next_batch(self) -> pa.RecordBatch:
        """The next batch; StopIteration at the end."""
        if self._over:
            raise StopIteration
        parts = [self._reader.read_next_batch()]
        grain, grain_bytes = parts[0].num_rows, _size(parts[0])
        rows, size = grain, grain_bytes
        # As long as one more like the first fits.
        while rows + grain <= self._most_rows and size + grain_bytes <= self._most_bytes:
            try:
                parts.append(self._reader.read_next_batch())
            except StopIteration:
                self._over = True
                break
            rows, size = rows + parts[-1].num_rows, size + _size(parts[-1])
        return parts[0] if len(parts) == 1 else pa.concat_batches(parts)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                yield self.read_next_batch()
            except StopIteration:
                return

    def close(self) -> None:
        """Give up what is left."""
        self._over = True
        self._reader.close()


def _size(batch: pa.RecordBatch) -> int:
    # What it refers to, which is no more than it holds: these batches are parts of nothing. ``nbytes`` takes 100 times as long.
    size: int = batch.get_total_buffer_size()
    return size
