"""Filters over answers and projections, without DuckDB: the same rows as DuckDB's own WHERE, and nothing that computes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import duckdb
import pyarrow as pa
import pytest

from anserdb.engine.dataflow.demand import Demand
from anserdb.engine.physical.fragments import plain_columns
from anserdb.engine.physical.operators.kept import for_demand
from anserdb.engine.physical.operators.selection import Selection, run_selection, selection
from anserdb.engine.plan.nodes import Column, Expr, Filter, Keep, Relation, Source

ROWS = pa.record_batch(
    {"__c1": [1, 2, 3, 4], "__s1": [True, False, None, True], "__s2": [True, True, True, None], "__c2": list("abcd")}
)
SOURCE = Source("", "t", ())


def where(sql: str) -> Filter:
    return Filter(SOURCE, Expr(sql, frozenset({sql}), sql))


def chosen(*nodes: Filter | Keep) -> Selection:
    made = selection(nodes, ROWS.schema)
    assert made is not None
    return made


def test_it_keeps_what_duckdb_keeps() -> None:
    made = chosen(where("__s1"), where("__s2"), Keep(SOURCE, ("__c2", "__c1")))
    with duckdb.connect() as con:
        con.register("rows", pa.Table.from_batches([ROWS]))
        expected = con.sql("SELECT __c2, __c1 FROM rows WHERE __s1 AND __s2").fetchall()
    assert [tuple(row.values()) for row in made.apply(ROWS).to_pylist()] == expected == [("a", 1)]
    assert made.schema.names == ["__c2", "__c1"]


@pytest.mark.parametrize("sql", ["NOT __s1", "__c1", "__s1 AND __s2", "__s9", "TRUE"])
def test_what_computes_is_duckdbs(sql: str) -> None:
    assert selection([where(sql)], ROWS.schema) is None


def test_a_column_that_was_dropped_below_is_no_condition() -> None:
    assert selection([Keep(SOURCE, ("__c1",)), where("__s1")], ROWS.schema) is None


async def test_what_it_drops_is_reported_and_empty_batches_go_nowhere() -> None:
    async def batches() -> AsyncIterator[pa.RecordBatch]:
        yield ROWS
        yield ROWS.slice(1, 2)

    demand = Demand(5)
    demand.started = 6
    got = [batch.num_rows async for batch in run_selection(batches(), chosen(where("__s1")), for_demand(demand))]
    assert got == [2]
    assert demand.processed == 4


def relation(sql: str, *types: str, rowwise: bool = True) -> Relation:
    return Relation(sql, (), tuple(Column(f"n{i}", t, "") for i, t in enumerate(types)), rowwise=rowwise)


def test_a_plain_projection_is_recognised() -> None:
    plan = relation('SELECT __c1 AS "a "" b", __s2 AS c FROM __in4', "BIGINT", "VARCHAR")
    assert plain_columns(plan) == ("__c1", "__s2")


@pytest.mark.parametrize(
    "plan",
    [
        relation("SELECT __c1 AS a FROM __in4 LIMIT 3", "BIGINT"),
        relation("SELECT __c1 AS a FROM __in4 OFFSET 3", "BIGINT"),
        relation("SELECT DISTINCT __c1 AS a FROM __in4", "BIGINT"),
        relation("SELECT __c1+1 AS a FROM __in4", "BIGINT"),
        relation("SELECT __c1 AS a FROM __in4", "UUID"),
        relation("SELECT __c1 AS a FROM __in4", "BIGINT", rowwise=False),
        relation("SELECT CAST(__s1 AS DATE) AS a FROM __in4", "DATE"),
    ],
)
def test_anything_else_is_duckdbs(plan: Relation) -> None:
    assert plain_columns(plan) is None
