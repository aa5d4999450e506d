"""What a statement was that DuckDB has been given."""

from __future__ import annotations

import threading

import duckdb
import pytest

from anserdb.engine.interfaces.native_kinds import has_rows, is_lazy
from anserdb.engine.physical.duck import Duck


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("CREATE TABLE t AS SELECT 1 AS a", False),
        ("CREATE OR REPLACE TEMP VIEW v AS SELECT 1 AS a", False),
        ("SHOW TABLES", True),
        ("PRAGMA version", True),
    ],
)
def test_which_statements_have_rows(statement: str, rows: bool) -> None:
    with duckdb.connect() as native:
        duck = Duck(native)
        relation = native.sql(statement) or native.sql("SELECT 1 AS Count")
        assert has_rows(duck, statement, relation) is rows


def test_a_query_is_lazy_and_a_change_is_not() -> None:
    with duckdb.connect() as native:
        assert is_lazy(native.sql("SELECT 1"), "SELECT 1;")
        assert not is_lazy(native.sql("CREATE TABLE t AS SELECT 1 AS a"), "CREATE TABLE t AS SELECT 1 AS a")


def test_it_waits_for_its_turn_on_the_connection() -> None:
    with duckdb.connect() as native:
        duck = Duck(native)
        relation = native.sql("SELECT 1 AS Count")
        holds = threading.Event()

        def busy() -> None:
            with duck.lock:
                holds.set()
                native.execute("SELECT count(*) FROM range(200_000_000) t(i) WHERE i % 7 = 3").fetchall()

        thread = threading.Thread(target=busy)
        thread.start()
        holds.wait()
        try:
            assert not has_rows(duck, "BEGIN", relation)  # DuckDB refuses a connection that is busy
        finally:
            thread.join()
