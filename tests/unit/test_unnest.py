"""The operator that makes rows of lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.engine.dataflow.demand import Demand
from anserdb.engine.physical.operators.unnest import run_unnest, unnest, unnested_schema
from anserdb.engine.plan.nodes import Column, Source, Unnest

KIND = pa.list_(pa.struct([("part", pa.string()), ("more", pa.struct([("n", pa.int64())])), ("ordinal", pa.int64())]))
OUTPUTS = tuple(Column(f"__s{i}", "VARCHAR", "x") for i in (1, 2, 3))

elements = st.fixed_dictionaries(
    {"part": st.none() | st.text(max_size=3), "more": st.none() | st.just({"n": 1}), "ordinal": st.integers(1, 9)}
)
lists = st.lists(st.none() | st.lists(elements, max_size=3), max_size=8)


def batch(values: list[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array(range(len(values)), pa.int64()), pa.array(values, KIND), pa.array(["é"] * len(values))],
        names=["__c1", "__s0", "__c2"],
    )


def node(keep_empty: bool) -> Unnest:
    return Unnest(Source("", "t", ()), "__s0", OUTPUTS, keep_empty)


@given(lists, st.booleans(), st.integers(0, 3))
def test_it_is_a_loop_over_lists(values: list[Any], keep_empty: bool, skipped: int) -> None:
    part = batch(values).slice(skipped)  # a view whose lists begin in the middle of their values
    found = unnest(node(keep_empty), part)
    nothing = [{"part": None, "more": None, "ordinal": None}] if keep_empty else []
    expected = [
        {"__c1": n, "__c2": "é", "__s1": e["part"], "__s2": e["more"], "__s3": e["ordinal"]}
        for n, value in enumerate(values) if n >= skipped
        for e in (value or nothing)
    ]  # fmt: skip
    assert found.to_pylist() == expected
    assert found.schema == unnested_schema(node(keep_empty), part.schema)
    with duckdb.connect() as connection:
        connection.register("found", pa.Table.from_batches([found]))
        assert connection.sql('SELECT count(*), count("__s2"."n") FROM found').fetchall() == [
            (len(expected), sum(row["__s2"] is not None for row in expected))
        ]


async def test_a_demand_hears_how_rows_multiply() -> None:
    async def batches() -> AsyncIterator[pa.RecordBatch]:
        one = {"part": "x", "more": None, "ordinal": 1}
        yield batch([[one] * 4, []])
        yield batch([[]])

    demand = Demand(10, cap=64, selective=False)
    assert await demand.take(3) == 3
    found = [b async for b in run_unnest(batches(), node(False), demand)]
    assert [b.num_rows for b in found] == [4]
    assert demand.growth == pytest.approx(5 / 4)  # four of three, and one of one before any was seen
    demand.passed(4)
    assert demand.allowance == 5  # six more rows are wanted, and none is under way


def test_what_is_not_under_way_any_more_may_be_started_again() -> None:
    demand = Demand(2, cap=64, selective=False)
    demand.started = 2
    assert not demand.allowance
    demand.multiplied(2, 0)
    assert demand.allowance == 6  # one of three rows, at best, becomes one
    demand.started += 6
    demand.multiplied(6, 60)
    demand.dropped(58)
    assert not demand.allowance  # two are still on their way
