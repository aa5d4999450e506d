"""``llm_calls()`` and its kin: tables of one statement, in plain and in semantic SQL."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

import anserdb
from anserdb.engine.sql.statements import TABLE_FUNCTIONS
from anserdb.udfs.functions import functions


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("CREATE TABLE t AS SELECT 'body ' || i AS body FROM range(4) r(i)")
        con.sql("CREATE TABLE u AS SELECT LLM_COMPLETE('q', body) AS x FROM t")
        yield con


def rows(con: anserdb.Connection, query: str) -> list[tuple[object, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


@pytest.mark.parametrize("name", TABLE_FUNCTIONS)
def test_every_table_can_be_read_and_leaves_nothing_behind(con: anserdb.Connection, name: str) -> None:
    result = con.sql(f"SELECT * FROM {name.lower()}()")
    assert result is not None
    assert result.columns
    assert result.fetchall() or name in ("LLM_ERRORS", "LLM_PROMPTS", "LLM_ESTIMATES", "LLM_CERTIFICATES")
    assert rows(con, "SHOW TABLES") == [("t",), ("u",)]


def test_calls_usage_and_settings_say_what_happened(con: anserdb.Connection) -> None:
    assert rows(con, "SELECT count(*), sum((outcome = 'ok')::INT) FROM llm_calls()") == [(4, 4)]
    assert rows(con, "SELECT model, function, calls FROM llm_usage()") == [("scripted", "LLM_COMPLETE", 4)]
    con.sql("SET llm_max_calls = 3")
    assert rows(con, "SELECT value FROM llm_settings() WHERE name = 'llm_max_calls'") == [("3",)]
    assert {name for (name,) in rows(con, "SELECT name FROM llm_functions()")} == {
        f.sql_name for f in functions().values()
    }
    assert rows(con, "SELECT provider FROM llm_models() WHERE name = 'scripted'") == [("scripted",)]


def test_they_join_and_take_semantic_functions(con: anserdb.Connection) -> None:
    query = "SELECT m.name, u.calls FROM llm_models() m JOIN llm_usage() u ON u.model = m.name"
    assert rows(con, query) == [("scripted", 4)]
    assert len(rows(con, "SELECT LLM_COMPLETE('explain', outcome) AS x FROM llm_calls() LIMIT 2")) == 2
    con.sql("CREATE TABLE kept AS SELECT * FROM llm_calls()")
    assert rows(con, "SELECT count(*) FROM kept")[0][0] == 5


def test_a_result_is_of_its_moment(con: anserdb.Connection) -> None:
    before = con.sql("SELECT count(*) FROM llm_calls()")
    assert before is not None
    con.sql("CREATE TABLE v AS SELECT LLM_COMPLETE('another', body) AS x FROM t")
    assert before.fetchall() == [(4,)]
    assert rows(con, "SELECT count(*) FROM llm_calls()") == [(8,)]


def test_a_passed_in_connection_does_not_see_them() -> None:
    native = duckdb.connect()
    with anserdb.connect(native, store=":memory:", llm_model="scripted") as con:
        assert rows(con, "SELECT count(*) FROM llm_models()")[0][0]
        assert native.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchall() == [(0,)]
        with pytest.raises(duckdb.CatalogException):
            native.execute("SELECT * FROM llm_models()")
    native.close()
