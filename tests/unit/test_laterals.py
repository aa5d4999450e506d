"""Calls in FROM: where they are recognised, what they are called, and the roads besides a plain query."""

from __future__ import annotations

import json
from collections.abc import Iterator

import duckdb
import pytest

import anserdb
from anserdb.engine.errors import BindError
from anserdb.engine.sql.laterals import row_item
from anserdb.engine.sql.locate import locate
from anserdb.engine.sql.tokens import Range, Text
from anserdb.udfs.functions import functions
from tests.support.reader import reader_model

CALL = "LLM_SPLIT(x, 'words')"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"SELECT * FROM a, {CALL}", True),
        (f"SELECT * FROM a, LATERAL {CALL} s", True),
        (f"SELECT * FROM a CROSS JOIN {CALL} WHERE b", True),
        (f"SELECT * FROM (a LEFT JOIN {CALL} ON true), b", True),
        (f"SELECT * FROM a JOIN b ON a.x IS DISTINCT FROM b.x, {CALL}", True),
        (f"SELECT (SELECT count(*) FROM {CALL}) FROM a", True),
        (f"FROM {CALL} SELECT 1", True),
        (f"WITH q AS (FROM a, {CALL}) FROM q", True),
        (f"SELECT 1 UNION SELECT x FROM a, {CALL}", True),
        (f"SELECT {CALL} FROM a", False),
        (f"SELECT x, {CALL} FROM a", False),
        (f"SELECT x FROM a UNION SELECT x, {CALL} FROM a", False),
        (f"SELECT * FROM a WHERE x IN (b, {CALL})", False),
        (f"SELECT * FROM a JOIN b ON {CALL} = b.x", False),
        (f"SELECT * FROM a GROUP BY x, {CALL}", False),
        (f"SELECT * FROM a ORDER BY x, {CALL}", False),
        (f"SELECT EXTRACT(year FROM {CALL}) FROM a", False),
        (f"SELECT x IS DISTINCT FROM {CALL} FROM a", False),
        (f"SELECT x IS DISTINCT FROM y, {CALL} FROM a", False),
        (f'SELECT x AS "FROM", {CALL} FROM a', False),
        (f"SELECT * FROM f(a, {CALL})", False),
        (f"DELETE FROM a RETURNING x, {CALL}", False),
        (f"UPDATE a SET x = s.part FROM b, {CALL} s", True),
    ],
)
def test_where_a_call_gives_rows(sql: str, expected: bool) -> None:
    text = Text(sql)
    (call,) = locate(text, text.all(), functions())
    assert call.in_from is expected


def test_other_functions_give_no_rows() -> None:
    text = Text("SELECT * FROM a, LLM_COMPLETE('say', x)")
    with pytest.raises(BindError, match="LLM_COMPLETE gives a value, not rows") as caught:
        locate(text, text.all(), functions())
    assert caught.value.position is not None
    assert text.sql[caught.value.position.start :].startswith("LLM_COMPLETE")


@pytest.mark.parametrize(
    ("behind", "alias", "columns"),
    [
        ("", "", ()),
        (" WHERE x", "", ()),
        (" LEFT JOIN b ON true", "", ()),
        (" s", "s", ()),
        (" AS s, b", "s", ()),
        (' AS "left"', "left", ()),
        (" s(a)", "s", ("a",)),
        (' AS "S 1"("a ""b""", c) WHERE x', "S 1", ('a "b"', "c")),
    ],
)
def test_what_its_rows_are_called(behind: str, alias: str, columns: tuple[str, ...]) -> None:
    text = Text(f"FROM {CALL}{behind}")
    item = row_item(text, Range(1, 7))
    assert (item.alias, item.columns) == (alias, columns)


@pytest.fixture(scope="module")
def connection() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="m") as made:
        made.register_model("m", reader_model())
        made.sql("CREATE TABLE d AS SELECT * FROM (VALUES (1, 'x y'), (2, 'z'), (3, NULL)) AS t(id, body)")
        yield made


def rows(connection: anserdb.Connection, sql: str, parameters: list[object] | None = None) -> list[tuple[object, ...]]:
    result = connection.sql(sql, parameters)
    assert result is not None
    return sorted(result.fetchall(), key=repr)


def test_statements_that_change_tables(connection: anserdb.Connection) -> None:
    connection.sql("CREATE TABLE w AS SELECT d.id, s.part FROM d, LLM_SPLIT(d.body, 'words') s")
    connection.sql("INSERT INTO w SELECT -d.id, s.part FROM d, LLM_SPLIT(d.body, 'words') s WHERE s.ordinal = 1")
    assert rows(connection, "FROM w") == [(-1, "x"), (-2, "z"), (1, "x"), (1, "y"), (2, "z")]
    connection.sql("UPDATE w SET part = s.part FROM LLM_SPLIT('new', 'words') s WHERE w.id < 0")
    connection.sql("DELETE FROM w WHERE part IN (SELECT part FROM LLM_SPLIT('y z', 'words'))")
    assert rows(connection, "FROM w") == [(-1, "new"), (-2, "new"), (1, "x")]


def test_parameters_and_views_of_other_dialects(connection: anserdb.Connection) -> None:
    assert rows(connection, "SELECT part FROM LLM_SPLIT(?, 'words')", ["a b"]) == [("a",), ("b",)]
    sql = "SELECT d.id FROM d, SEM_SPLIT(d.body, 'words') WHERE AI_FILTER(PROMPT('mentions y: {0}', sem_split.part))"
    assert rows(connection, sql) == [(1,)]


def test_explain_shows_the_rows_and_where_their_number_comes_from(connection: anserdb.Connection) -> None:
    sql = "SELECT d.id FROM d, LLM_SPLIT(d.body, 'words') s(word) WHERE LLM_FILTER('mentions x', word) AND d.id < 3"
    (text,) = rows(connection, f"EXPLAIN {sql}")[0]
    assert isinstance(text, str)
    nodes = [line.strip(" └─│") for line in text.splitlines() if "└─ " in line]
    assert nodes == [
        "Keep  d.id",
        "Filter  LLM_FILTER('mentions x', word)",
        "Call  2:LLM_FILTER  model=m  distinct",
        "Unnest  LLM_SPLIT(d.body, 'words') AS s(word, ordinal)  as they are written",
        "Keep  d.id, LLM_SPLIT(d.body, 'words')",
        "Call  1:LLM_SPLIT  model=m  distinct",
        "Filter  d.id < 3",
        "Source  d  [d.id, d.body]",
    ]
    assert "rows≈8 (exact count; prior: 4 rows of one)" in text
    (document,) = rows(connection, f"EXPLAIN (FORMAT json) {sql}")[0]
    assert '"keep_empty": false' in json.dumps(json.loads(str(document)))


def test_plain_duckdb_has_them_in_from_too() -> None:
    with duckdb.connect() as plain:
        loaded = anserdb.load(plain, store=":memory:", llm_model="m")
        loaded.register_model("m", reader_model())
        plain.execute("CREATE TABLE d AS SELECT * FROM (VALUES (1, 'x name=Al'), (2, ''), (3, NULL)) AS t(id, body)")
        words = plain.sql(
            "SELECT id, w FROM d LEFT JOIN LATERAL llm_split(d.body, 'words') AS s(w) ON true ORDER BY ALL"
        )
        assert words.fetchall() == [(1, "name=Al"), (1, "x"), (2, None), (3, None)]
        found = plain.sql("SELECT r.* FROM d, sem_extract_table(d.body, {name: 'VARCHAR', amount: 'INTEGER'}) r")
        assert found.fetchall() == [("Al", None, 1)]
        assert [str(t) for t in found.types] == ["VARCHAR", "INTEGER", "BIGINT"]
        loaded.unload()
        with pytest.raises(duckdb.CatalogException):
            plain.sql("FROM llm_split('x', 'words')")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT s.part FROM (SELECT {part: 'x y'} AS s) q, LLM_SPLIT(s.part, 'words') AS s", [("x",), ("y",)]),
        ("SELECT part FROM (SELECT 'x y' AS part) q, LLM_SPLIT(part, 'words') AS s(w) WHERE w = 'y'", [("x y",)]),
        ("SELECT s.part FROM (SELECT 'x y' AS part) q, LLM_SPLIT(part, 'words') AS s", [("x",), ("y",)]),
        ("SELECT * FROM (SELECT 'x' AS a) q, LLM_SPLIT(a, 'words') AS s(ordinal)", [("x", "x", 1)]),
        ('SELECT "S"."The Part" FROM d, LLM_SPLIT(body, \'words\') AS s("the part") WHERE id = 2', [("z",)]),
        ("SELECT r.a.name FROM d, LLM_EXTRACT_TABLE('name=Al', {name: 'VARCHAR'}) AS r(a) WHERE d.id = 1", None),
        (
            "SELECT list_transform([s.part], lambda part: part || '!') FROM d, LLM_SPLIT(body, 'words') s WHERE id = 2",
            [(["z!"],)],
        ),
        ("SELECT s.part, s.part FROM LLM_SPLIT('x', 'words') s", [("x", "x")]),
        ("SELECT d.id FROM d LEFT JOIN LLM_SPLIT(d.body, 'words') s ON true WHERE s.part IS NULL", [(3,)]),
        (
            "SELECT q.part FROM (SELECT d.id, s.* FROM d, LLM_SPLIT(d.body, 'words') s) q WHERE q.id = 1",
            [("x",), ("y",)],
        ),
    ],
)
def test_names_mean_what_they_mean_to_duckdb(
    connection: anserdb.Connection, sql: str, expected: list[tuple[object, ...]] | None
) -> None:
    if expected is None:
        with pytest.raises(BindError):
            connection.sql(sql)
    else:
        assert rows(connection, sql) == expected
