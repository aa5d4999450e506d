"""Parts of batches that DuckDB can read."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from anserdb.engine.physical.slices import sliced

ROWS = [{"i": i, "s": {"l": [{"x": i}], "u": None if i % 2 else i}} for i in range(6)]


@pytest.mark.parametrize(("start", "size"), [(0, 6), (0, 2), (2, 3), (5, 4), (3, 0)])
def test_rows_of_a_part_are_those_of_the_whole(start: int, size: int) -> None:
    part = sliced(pa.RecordBatch.from_pylist(ROWS), start, size)
    wanted = [tuple(row.values()) for row in ROWS[start : start + size]]
    assert [tuple(row.values()) for row in part.to_pylist()] == wanted
    with duckdb.connect() as connection:
        connection.register("part", pa.Table.from_batches([part]))
        assert connection.execute("FROM part ORDER BY i").fetchall() == wanted


def test_plain_columns_are_not_copied() -> None:
    batch = pa.RecordBatch.from_pydict({"i": [1, 2, 3]})
    assert sliced(batch, 1, 2).column(0).buffers()[1].address == batch.column(0).buffers()[1].address
