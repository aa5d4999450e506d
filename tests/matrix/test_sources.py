"""Every function over every kind of table: Python objects, files, temporary tables, attached databases, an open transaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from .doors import Doors, comparable
from .forms import AGGREGATES, SCALARS, all_values

ROWS = "SELECT id, body FROM t WHERE body <> '' OR body IS NULL ORDER BY id"
OBJECTS: dict[str, Callable[[pa.Table], Any]] = {
    "arrow table": lambda rows: rows,
    "arrow reader": lambda rows: pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(2)),
    "arrow dataset": ds.dataset,
    "pandas": lambda rows: rows.to_pandas(),
    "polars": pl.from_arrow,
    "polars lazy": lambda rows: pl.LazyFrame(pl.from_arrow(rows)),
}
MADE = {
    "temp table": "CREATE TEMP TABLE made AS {rows}",
    "transaction": "BEGIN; CREATE TABLE made AS {rows} LIMIT 2; INSERT INTO made SELECT * FROM ({rows}) WHERE id NOT IN (SELECT id FROM made)",
    "attached": "ATTACH ':memory:' AS other; CREATE TABLE other.made AS {rows}; USE other",
    "view": "CREATE VIEW w AS {rows}",
}
FILES = {
    "csv": ("(HEADER)", "read_csv('{file}')"),
    "csv without header": ("(HEADER false)", "read_csv('{file}', header = false, names = ['id', 'body'])"),
    "json": ("(FORMAT json)", "read_json('{file}')"),
    "json list": ("(FORMAT json, ARRAY true)", "read_json_auto('{file}')"),
    "parquet": ("(FORMAT parquet)", "read_parquet('{file}')"),
    "parquet by name": ("(FORMAT parquet)", "'{file}'"),
    "files": ("(FORMAT parquet)", "read_parquet(['{file}'], filename = true)"),
    "glob": ("(FORMAT parquet)", "read_parquet('{file}*')"),
}


def compare(both: Doors, ask: Callable[[str], Any], table: str) -> None:
    """Every function over ``table`` gives what the reference gives over the same rows, and asks what it must."""
    select = f"SELECT id, {all_values(SCALARS, 'body')} FROM SOURCE WHERE {SCALARS['LLM_FILTER'][0].format(x='body')} ORDER BY id"
    grouped = f"SELECT id > 2 AS late, {all_values(AGGREGATES, 'body')} FROM SOURCE GROUP BY late ORDER BY late"
    for query in (select, grouped):
        expected = both.plain.execute(query.replace("SOURCE", f"({ROWS})")).fetchall()
        assert comparable(ask(query.replace("SOURCE", table)).fetchall()) == comparable(expected)
    both.asked()


@pytest.fixture
def rows(both: Doors) -> pa.Table:
    """What every source holds."""
    both.begin(writes=True)
    return both.plain.sql(ROWS).to_arrow_table()


@pytest.mark.parametrize("kind", OBJECTS)
def test_python_variables(both: Doors, rows: pa.Table, kind: str) -> None:
    def ask(sql: str) -> Any:
        frame = OBJECTS[kind](rows)  # a reader gives its rows once
        assert frame is not None
        return both.con.sql(sql)

    compare(both, ask, "frame")


@pytest.mark.parametrize("kind", [kind for kind in OBJECTS if kind != "arrow reader"])
def test_registered_objects(both: Doors, rows: pa.Table, kind: str) -> None:
    both.con.duckdb.register("registered", OBJECTS[kind](rows))
    compare(both, both.con.sql, "registered")
    both.con.duckdb.unregister("registered")


@pytest.mark.parametrize("kind", FILES)
def test_files(both: Doors, rows: pa.Table, tmp_path: Path, kind: str) -> None:
    options, read = FILES[kind]
    file = tmp_path / f"rows.{'parquet' if 'parquet' in options else 'json' if 'json' in options else 'csv'}"
    both.con.sql(f"COPY ({ROWS}) TO '{file}' {options}")
    compare(both, both.con.sql, read.format(file=file))


@pytest.mark.parametrize("kind", MADE)
def test_tables_just_made(both: Doors, rows: pa.Table, kind: str) -> None:
    both.con.sql(MADE[kind].format(rows=ROWS.replace("FROM t", "FROM memory.main.t")))
    compare(both, both.con.sql, "w" if kind == "view" else "made")
    both.con.sql("ROLLBACK" if kind == "transaction" else "USE memory")


def test_an_open_transaction_is_rolled_back_with_the_answers_in_it(both: Doors) -> None:
    both.begin(writes=True)
    con = both.con
    con.sql("BEGIN; INSERT INTO t VALUES (8, 'new', 1, 'z'); UPDATE t SET k = LLM_COMPLETE('say', body)")
    result = con.sql("SELECT id, k FROM t WHERE LLM_FILTER('is it so', body) OR k = 'never' ORDER BY id")
    assert result is not None
    result.fetchall()
    assert ("new",) in both.asked()
    con.rollback()
    left = con.sql("SELECT id, k FROM t ORDER BY id")
    assert left is not None
    assert left.fetchall()[-1] == (7, "c")
    both.clean = False
