"""Prepared-statement parameters of semantic statements."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

import anserdb
from anserdb.engine.sql.parameters import inline
from anserdb.engine.sql.tokens import Text
from tests.support.reader import reader_model


@pytest.fixture(scope="module")
def connection() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="reader") as made:
        made.register_model("reader", reader_model())
        made.sql("CREATE TABLE t AS SELECT 1 AS id, 'kiwi' AS body UNION ALL SELECT 2, 'plum'")
        yield made


def rows(connection: anserdb.Connection, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    result = connection.sql(sql, parameters)
    assert result is not None
    return result.fetchall()


@pytest.mark.parametrize(
    ("sql", "parameters", "expected"),
    [
        ("SELECT LLM_COMPLETE(?, body) FROM t WHERE id = ?", ["it's", 1], "it's(kiwi)"),
        ("SELECT LLM_COMPLETE($2, body) FROM t WHERE id = $1", [1, "x"], "x(kiwi)"),
        ("SELECT LLM_COMPLETE($p, $p) FROM t LIMIT $n", {"p": "a", "n": 1}, "a(a)"),
        ("SELECT LLM_CLASSIFY(body, ?) FROM t LIMIT 1", [["kiwi", "z"]], "kiwi"),
        ("SELECT LLM_COMPLETE('how long', body, returns := ?) FROM t LIMIT 1", ["INTEGER"], 4),
        ("SELECT LLM_COMPLETE('?', body) /* ? */ FROM t WHERE id = ? -- ?", [1], "?(kiwi)"),
        ("SELECT LLM_COMPLETE('x', 3-?)", [-5], "x(8)"),
        ("SELECT LLM_COMPLETE('x', ?)", [None], None),
    ],
)
def test_a_parameter_is_what_its_literal_is(
    connection: anserdb.Connection, sql: str, parameters: Any, expected: object
) -> None:
    assert rows(connection, sql, parameters)[0][0] == expected


@pytest.mark.parametrize(
    "value",
    [
        True,
        -5,
        2**70,
        1.5,
        decimal.Decimal("1.50"),
        "quote ' and -- dash; $1 ?",
        b"a\x00b",
        datetime.date(2024, 2, 3),
        datetime.datetime(2024, 2, 3, 4, 5, 6, 789),
        uuid.UUID(int=7),
        [1, None, 3],
        {"a": 1, "b": "x'y"},
        None,
    ],
)
def test_a_value_keeps_its_type(connection: anserdb.Connection, value: object) -> None:
    sql = "SELECT ? AS v, typeof(v), LLM_FILTER('mentions kiwi', body) FROM t WHERE id = 1"
    plain = connection.duckdb.execute("SELECT v, typeof(v), true FROM (SELECT ? AS v)", [value]).fetchall()
    expected = plain if value is not None else [(None, '"NULL"', True)]
    assert rows(connection, sql, [value]) == expected


@pytest.mark.parametrize(
    ("sql", "parameters", "message"),
    [
        ("SELECT LLM_COMPLETE('x', ?)", {"a": 1}, "Parameter number 1 has no value"),
        ("SELECT LLM_COMPLETE('x', $a)", {"b": 1}, "Parameter $a has no value"),
        ("SELECT LLM_COMPLETE('x', ?, ?)", [1], "Parameter number 2 has no value"),
        ("SELECT LLM_COMPLETE('x', ?)", [1, 2], "2 parameters are given, but the statement has 1"),
    ],
)
def test_values_and_parameters_must_match(sql: str, parameters: Any, message: str) -> None:
    with pytest.raises(anserdb.ProgrammingError, match=message.replace("$", r"\$")):
        inline(Text(sql), parameters, repr)


def test_an_error_is_about_the_text_as_it_was_written(connection: anserdb.Connection) -> None:
    sql = "SELECT ?, LLM_COMPLETE('x', nope) FROM t WHERE body = ?"
    with pytest.raises(anserdb.ProgrammingError) as caught:
        connection.sql(sql, ["secret one", "secret two"])
    assert caught.value.position is not None
    assert sql[caught.value.position.start : caught.value.position.end] == "nope"
    assert "secret" not in str(caught.value)
    assert sql in str(caught.value)


def test_a_syntax_error_is_about_the_text_as_it_was_written(connection: anserdb.Connection) -> None:
    with pytest.raises(anserdb.ParseError, match="WHERE body WHERE"):
        connection.sql("SELECT LLM_COMPLETE('x', ?) FROM t WHERE body WHERE", ["secret"])
