"""What looks like a key of the row that was split, and is none: groups are those that plain grouping gives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import anserdb
from anserdb.engine.errors import DataError, ModelError
from anserdb.udfs.models.base import Capabilities, Generate, Reply, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.batched_prompts import in_company
from tests.support.reader import read, reader_model
from tests.support.stutter import stuttering_model

SPLIT = "LATERAL LLM_SPLIT(d.body, 'words') s(w)"


@pytest.fixture
def connection() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as made:
        made.register_model("m", reader_model())
        made.sql("CREATE TABLE docs (id INTEGER PRIMARY KEY, body VARCHAR, info STRUCT(id INTEGER))")
        made.sql("INSERT INTO docs SELECT i, 'x y x', {id: i % 2} FROM range(6) t(i)")
        yield made


def rows(connection: anserdb.Connection, sql: str) -> list[Any]:
    result = connection.sql(sql)
    assert result is not None
    return sorted(result.fetchall())


def planned(connection: anserdb.Connection, sql: str) -> str:
    return str(rows(connection, f"EXPLAIN {sql}"))


@pytest.mark.parametrize("key", ["info.id", "d.info.id"])
def test_a_field_named_like_the_key_is_no_key(connection: anserdb.Connection, key: str) -> None:
    sql = f"SELECT {key}, count(*) FROM docs d, {SPLIT} GROUP BY {key}"
    assert rows(connection, sql) == [(0, 9), (1, 9)]


@pytest.mark.parametrize(
    ("table", "key"), [("docs", "id"), ("docs", "docs.id"), ("main.docs", "main.docs.id"), ("docs AS d", "d.id")]
)
def test_the_key_is_found_behind_its_tables_names(connection: anserdb.Connection, table: str, key: str) -> None:
    body = key.replace("id", "body")
    sql = f"SELECT {key}, count(*) FROM {table}, LATERAL LLM_SPLIT({body}, 'words') s(w) GROUP BY {key}"
    plan = planned(connection, sql)
    assert "each when its row" in plan
    assert "found out" not in plan


def test_a_table_elsewhere_says_nothing_of_a_variable_with_its_name(connection: anserdb.Connection) -> None:
    connection.sql("CREATE SCHEMA other")
    connection.sql("CREATE TABLE other.frame (id INTEGER PRIMARY KEY, body VARCHAR)")
    frame = pa.table({"id": [1, 1, 2], "body": ["x", "y z", "w"]})
    result = connection.sql(f"SELECT d.id, count(*) FROM frame d, {SPLIT} GROUP BY d.id")
    assert result is not None
    assert sorted(result.fetchall()) == [(1, 3), (2, 1)]
    assert frame.num_rows == 3


def test_a_number_of_a_part_is_found_by_its_place_and_not_by_its_name(connection: anserdb.Connection) -> None:
    """The parts are called ordinal here, and their numbers are not."""
    sql = (
        "SELECT d.id, s.ordinal, count(*) FROM docs d, LATERAL LLM_SPLIT(d.body, 'words') s(ordinal, n), "
        "LATERAL LLM_SPLIT(s.ordinal, 'words') u GROUP BY d.id, s.ordinal"
    )
    assert rows(connection, sql) == sorted([(i, "x", 2) for i in range(6)] + [(i, "y", 1) for i in range(6)])
    assert "levels down" in planned(
        connection,
        sql.replace("SELECT d.id, s.ordinal", "SELECT d.id, s.n").replace("BY d.id, s.ordinal", "BY d.id, s.n"),
    )


def test_no_group_of_a_part_is_shown_that_was_only_guessed() -> None:
    """The guess has all its own parts long before the list that it is in turns out to be another."""

    async def pace(said: str) -> None:
        await asyncio.sleep(0.05 if '"y"' in said else 0)

    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as made:
        made.register_model("m", stuttering_model(pace))
        made.sql("CREATE TABLE docs AS SELECT 1 AS id, 'x y' AS body")
        sql = (
            "SELECT d.id, s.ordinal, list(u.w) FROM docs d, LATERAL LLM_SPLIT(d.body, 'words') s(word, ordinal), "
            "LATERAL LLM_SPLIT(s.word, 'words') u(w) GROUP BY d.id, s.ordinal"
        )
        assert rows(made, sql) == [(1, 1, ["x"]), (1, 2, ["y"])]


def refused_once(request: Request) -> str | Reply:
    """The first answer to what is to be extracted begins with a row that is not in the second, and is no JSON in the end."""
    assert isinstance(request, Generate)
    if '"rows"' in request.system and not request.attempt:
        return '{"rows": [{"x": "none"}, {"x": "none"}]'
    return in_company(read)(request)


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize(
    "condition",
    ["r.x::INTEGER > 1 AND LLM_FILTER('mentions 3', r.x)", "LLM_FILTER('mentions 3', r.x, on_error := 'fail')"],
)
def test_what_fails_on_a_guess_fails_nothing(condition: str, grouped: bool) -> None:
    async def pace(said: str) -> None:
        await asyncio.sleep(0.02 if "none" in said else 0)

    async def delay(request: Request) -> None:
        assert isinstance(request, Generate)
        if "X: none" in request.user:
            raise ModelError("There is nothing to judge.")

    capabilities = Capabilities(choice_scores=False, concurrency=8)
    model = ScriptedModel(
        [(lambda _: True, refused_once)], capabilities=capabilities, name="refused", pace=pace, delay=delay
    )
    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as made:
        made.register_model("m", model)
        made.sql("CREATE TABLE docs AS FROM (VALUES (1, 'x=1 x=3'), (2, 'x=3')) AS d(id, body)")
        select = ("SELECT d.id, max(r.x)", "GROUP BY d.id") if grouped else ("SELECT d.id, r.x", "")
        sql = f"{select[0]} FROM docs d, LATERAL LLM_EXTRACT_TABLE(d.body, {{'x': 'VARCHAR'}}) r WHERE {condition} {select[1]}"
        assert rows(made, sql) == [(1, "3"), (2, "3")]


def test_what_fails_on_a_part_of_the_list_fails_the_query_in_its_own_words(connection: anserdb.Connection) -> None:
    sql = f"SELECT d.id, count(*) FROM docs d, {SPLIT} WHERE s.w::INTEGER > 1 AND LLM_FILTER('mentions x', s.w) GROUP BY d.id"
    with pytest.raises(DataError) as failure:
        rows(connection, sql)
    assert str(failure.value) == "Conversion Error: Could not convert string 'x' to INT32"


ONE, TWO, CSV = "'{d}/one.parquet'", "'{d}/two.parquet'", "'{d}/one.csv'"


@pytest.mark.parametrize(
    ("source", "times"),
    [
        (f"{ONE} d", 1),
        (f"read_parquet([{ONE}, {TWO}]) AS d", 1),
        (f"read_parquet([{ONE}, {ONE}]) d", 2),
        (f"read_csv({CSV}, header = true) AS d", 1),
        (f"read_csv({CSV}, header := true, types := {{'id': 'INTEGER'}}) d", 1),
        (f"docs d JOIN {ONE} f ON d.id = f.id", 1),
        (f"docs d, {TWO} f", 3),
    ],
)
def test_files_are_read_again_to_look_for_keys(
    source: str, times: int, connection: anserdb.Connection, tmp_path: Path
) -> None:
    one, two = "SELECT id, body FROM docs WHERE id < 3", "SELECT id + 9 AS id, body FROM docs WHERE id < 3"
    connection.sql(f"COPY ({one}) TO '{tmp_path}/one.parquet'; COPY ({two}) TO '{tmp_path}/two.parquet'")
    connection.sql(f"COPY ({one}) TO '{tmp_path}/one.csv' (HEADER)")
    source = source.replace("{d}", str(tmp_path))
    sql = f"SELECT d.id, count(*) FROM {source}, {SPLIT} GROUP BY d.id"
    assert "each when its row of the source is done (if the keys are one" in planned(connection, sql)
    found = rows(connection, sql)
    assert {count for _, count in found} == {3 * times}
    connection.sql("SET llm_disabled_rules = 'nested_ancestry'")
    assert rows(connection, sql) == found


@pytest.mark.parametrize(
    "source",
    [
        f"{ONE} d TABLESAMPLE 50%",
        "again d",
        "docs d JOIN docs f ON d.id = f.id AND random() >= 0",
        "docs d POSITIONAL JOIN docs f",
        "(FROM docs LIMIT 3) d",
        "read_mine(3) d",
    ],
)
def test_what_may_be_another_the_next_time_is_read_once(
    source: str, connection: anserdb.Connection, tmp_path: Path
) -> None:
    connection.sql(f"COPY docs TO '{tmp_path}/one.parquet'")
    connection.sql("CREATE VIEW again AS SELECT id, body FROM docs WHERE random() < 0.5")
    connection.sql("CREATE MACRO read_mine(n) AS TABLE SELECT id, body FROM docs WHERE random() < 0.5 OR id = n")
    sql = f"SELECT d.body, count(*) FROM {source.replace('{d}', str(tmp_path))}, {SPLIT} GROUP BY d.body"
    assert "which can be read only once" in planned(connection, sql)


def test_explain_names_the_barrier() -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("CREATE TABLE docs (id INTEGER PRIMARY KEY, author VARCHAR, body VARCHAR)")
        con.sql("CREATE MACRO mine(x) AS x <> 'a'")
        query = (
            "EXPLAIN SELECT {key}, list(s.w) FROM docs d, LLM_SPLIT(d.body, 'words') s(w) WHERE {where} GROUP BY {key}"
        )
        barriers = {
            "mine(s.w) needs your connection": query.format(key="d.id", where="mine(s.w)"),
            "no key of docs d is among the groups' keys": query.format(key="s.w", where="true"),
        }
        for reason, sql in barriers.items():
            explained = con.sql(sql)
            assert explained is not None
            assert f"barrier: all rows come first, because {reason}" in str(explained.fetchall()[0][0])
