"""Rows that DuckDB reads in groups as large as those of its own tables."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import anserdb
from anserdb.engine.physical import row_groups
from anserdb.engine.physical.row_groups import MOST_ROWS


def batch(start: int, size: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"x": pa.array(range(start, start + size), pa.int64())})


@given(st.lists(st.integers(0, MOST_ROWS), max_size=8))
def test_the_same_rows_in_groups_that_are_not_too_large(sizes: list[int]) -> None:
    batches = [batch(sum(sizes[:n]), size) for n, size in enumerate(sizes)]
    groups = list(row_groups.row_groups(batches))
    assert [x for g in groups for x in g.column(0).to_pylist()] == list(range(sum(sizes)))
    assert all(g.num_rows <= MOST_ROWS for g in groups)
    assert all(a.num_rows + b.num_rows > MOST_ROWS for a, b in pairwise(groups))


def test_wide_rows_make_small_groups() -> None:
    wide = pa.RecordBatch.from_pydict({"x": ["y" * 1_000_000]})
    assert max(g.num_rows for g in row_groups.row_groups([wide] * 40)) <= row_groups.MOST_BYTES // 1_000_000


@pytest.mark.parametrize(
    "query",
    [
        "SELECT DISTINCT ON (k) k, id FROM (SELECT id, k, {call} AS c FROM t) ORDER BY k",
        "SELECT DISTINCT ON (k) k, id, {call} AS c FROM t",
        "SELECT first(id), list(id), {call} AS c FROM t GROUP BY c",
        "SELECT id, row_number() OVER (PARTITION BY k) AS n, {call} AS c FROM t",
        "SELECT id, {call} AS c FROM t ORDER BY k",
    ],
)
def test_what_depends_on_the_order_of_rows_is_as_in_duckdb(query: str) -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted", llm_concurrency=2) as con:
        con.sql("CREATE TABLE t AS SELECT i AS id, i % 7 AS k FROM range(600) r(i)")
        con.sql("CREATE TABLE answers AS SELECT id, LLM_COMPLETE('say', (id % 3)::VARCHAR) AS c FROM t")
        looked_up = "(SELECT any_value(a.c) FROM answers a WHERE a.id = t.id)"
        expected = con.sql(query.format(call=looked_up)).fetchall()
        for _ in range(3):
            con.sql("CALL llm_cache_clear()")
            found = con.sql(query.format(call="LLM_COMPLETE('say', (id % 3)::VARCHAR)")).fetchall()
            assert sorted(map(str, found)) == sorted(map(str, expected))
