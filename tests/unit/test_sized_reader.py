"""Batches of a size in rows and in bytes."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.engine.physical.duck import ROWS_PER_BATCH, spooled
from anserdb.engine.physical.sized_reader import GRAIN, MOST_BYTES, SizedReader

SCHEMA = pa.schema([("text", pa.string())])


def reader(parts: list[list[str]]) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(
        SCHEMA, [pa.RecordBatch.from_pydict({"text": part}, SCHEMA) for part in parts]
    )


@given(
    st.lists(st.lists(st.text(max_size=20), min_size=1, max_size=6), max_size=12),
    st.integers(1, 20),
    st.integers(1, 400),
)
def test_no_row_is_lost_and_batches_keep_their_size(parts: list[list[str]], rows: int, most_bytes: int) -> None:
    made = list(SizedReader(reader(parts), rows, most_bytes))
    assert [text for batch in made for text in batch.column(0).to_pylist()] == [text for part in parts for text in part]
    most = max(map(len, parts), default=0)
    assert all(batch.num_rows < max(rows, 1) + most for batch in made)
    assert all(batch.num_rows for batch in made)


def test_narrow_rows_come_together_and_wide_ones_do_not() -> None:
    """Kept whole, the wide ones would be 100 MB a batch."""
    with duckdb.connect() as con:
        for width, least, most in ((10, ROWS_PER_BATCH, ROWS_PER_BATCH), (50_000, 1, max(GRAIN, MOST_BYTES // 50_000))):
            sizes = [b.num_rows for b in spooled(con.sql(f"SELECT i, repeat('x', {width}) FROM range(5000) r(i)"))]
            assert sum(sizes) == 5000
            assert all(least <= size <= most for size in sizes[:-1])


def test_the_end_stays_the_end_and_an_error_comes_through() -> None:
    ended = SizedReader(reader([["a"]]), 10)
    assert ended.read_next_batch().num_rows == 1
    for _ in range(2):
        with pytest.raises(StopIteration):
            ended.read_next_batch()

    def failing() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"text": ["a"]}, SCHEMA)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        SizedReader(pa.RecordBatchReader.from_batches(SCHEMA, failing()), 10).read_next_batch()
