"""Parameters as inputs and beside them: ``?``, ``$1`` and ``$name``, from Python, through a cursor, and in PREPARE and EXECUTE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import anserdb

from .doors import Doors, comparable
from .forms import AGGREGATES, SCALARS, all_values

VALUES = ["a text", "", None, 7, 1.5, True, ["a", "b"], {"a": 1}, "it's {0} $1 ?"]
Given = list[Any] | dict[str, Any]
MARKS: dict[str, tuple[str, Callable[[Any], Given]]] = {
    "numbered": ("$1", lambda value: [value]),
    "named": ("$name", lambda value: {"name": value}),
}
OVER_ROWS = {
    f"SELECT id, {all_values(SCALARS, 'body')} FROM t WHERE n > $1 AND body <> $2 ORDER BY id": [0, "green door"],
    f"SELECT k, {all_values(AGGREGATES, 'body')} FROM t WHERE n > ? GROUP BY k ORDER BY k": [0],
    "SELECT id, LLM_COMPLETE('say', $tone || body) FROM t WHERE LLM_FILTER('is it so', body) OR k = $k ORDER BY id": {
        "tone": "softly: ",
        "k": "a",
    },
    "SELECT LLM_COMPLETE('say', body, ?), ?::INTEGER FROM t ORDER BY id LIMIT ?": ["and", 3, 2],
    "SELECT LLM_COMPLETE($1, body) FROM t WHERE k = $2 ORDER BY id": ["say", "a"],
}


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("mark", MARKS)
def test_an_input(both: Doors, mark: str, value: Any) -> None:
    both.begin(writes=False)
    place, given = MARKS[mark]
    sql = f"SELECT {all_values(SCALARS, place)}, {place} IS NULL"
    expected = comparable(both.plain.execute(sql, given(value)).fetchall())
    result = both.con.sql(sql, given(value))
    assert result is not None
    assert comparable(result.fetchall()) == expected
    both.asked()
    assert comparable(both.con.execute(sql, given(value)).fetchall()) == expected


@pytest.mark.parametrize("sql", OVER_ROWS)
def test_beside_rows(both: Doors, sql: str) -> None:
    both.begin(writes=True)
    given = OVER_ROWS[sql]
    expected = comparable(both.plain.execute(sql, given).fetchall())
    cursor = both.con.cursor()
    for _ in range(2):
        assert comparable(cursor.execute(sql, given).fetchall()) == expected
    names = isinstance(given, dict)
    arguments = ", ".join(f"{name} := {_sql(v)}" for name, v in given.items()) if names else ", ".join(map(_sql, given))
    both.con.sql(f"PREPARE p AS {sql}")
    assert comparable(both.con.execute(f"EXECUTE p({arguments})").fetchall()) == expected


def test_one_statement_for_many_sets_of_values(both: Doors) -> None:
    both.begin(writes=True)
    sql = "INSERT INTO u SELECT $1, id, LLM_COMPLETE('say', body, $2)::VARCHAR FROM t WHERE id = $1"
    given = [[1, "once"], [2, "twice"], [3, "never"]]
    both.plain.executemany(sql, given)
    cursor = both.con.cursor()
    assert cursor.executemany(sql, given).rowcount == 3
    assert cursor.execute("FROM u ORDER BY ALL").fetchall() == both.plain.execute("FROM u ORDER BY ALL").fetchall()
    assert both.asked() == [("green door", "twice"), ("red kite", "once")]


@pytest.mark.parametrize(
    "literal", ["'a text'", "NULL", "7", "DATE '2020-02-03'", "[1, 2]", "{'a': 1}", "'it''s'", "1 + 1"]
)
def test_prepared_in_words(both: Doors, literal: str) -> None:
    both.begin(writes=True)
    expected = both.plain.execute(f"SELECT {all_values(SCALARS, literal)}").fetchall()
    for mark, argument in (("?", literal), ("$1", literal), ("$name", f"name := {literal}")):
        repeated = ", ".join([argument] * (len(SCALARS) if mark == "?" else 1))
        both.con.sql(f"PREPARE p AS SELECT {all_values(SCALARS, mark)}")
        result = both.con.sql(f"EXECUTE p({repeated})")
        assert result is not None
        assert comparable(result.fetchall()) == comparable(expected)


def test_prepared_statements_that_write_and_that_explain(both: Doors) -> None:
    both.begin(writes=True)
    con = both.con
    con.sql("PREPARE p AS UPDATE t SET k = LLM_COMPLETE('say', body, $word) WHERE id = $id")
    assert con.execute("EXECUTE p(id := 1, word := 'x')").rowcount == 1
    assert both.asked() == [("red kite", "x")]
    con.sql("PREPARE p AS SELECT LLM_COMPLETE('say', body) FROM t WHERE id < ?")
    assert "Call  1:LLM_COMPLETE" in con.explain("EXECUTE p(3)")
    con.sql("PREPARE outer_call AS SELECT id + ? FROM t ORDER BY id LIMIT 1")
    assert con.execute("EXECUTE outer_call(LLM_COMPLETE('say', 'it', returns := 'INTEGER') * 0)").fetchall() == [(1,)]
    assert con.execute("EXECUTE p(LLM_COMPLETE('say', 'it', returns := 'INTEGER') * 0 + 2)").rowcount == -1


def test_a_name_is_one_statement_at_a_time(both: Doors) -> None:
    both.begin(writes=True)
    con = both.con
    con.sql('PREPARE "My own" AS SELECT LLM_COMPLETE(\'say\', ?); PREPARE "My own" AS SELECT 5')
    assert con.execute('EXECUTE "my own"').fetchall() == [(5,)]
    con.sql("PREPARE p AS SELECT LLM_COMPLETE('say', 'a')")
    with pytest.raises(anserdb.ProgrammingError):
        con.sql("PREPARE p AS SELECT nobody FROM t")
    with pytest.raises(anserdb.Error, match="is gone"):
        con.execute("EXECUTE p").fetchall()
    con.sql("PREPARE p AS SELECT LLM_COMPLETE('say', 'a'); DEALLOCATE PREPARE p")
    with pytest.raises(anserdb.ProgrammingError, match="does not exist"):
        con.sql("EXECUTE p")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("EXECUTE p", r"Parameter number 1 has no value\.\nLINE 1: SELECT LLM_COMPLETE\('say', \?\)"),
        ("EXECUTE p('a', 'b')", "2 parameters are given, but the statement has 1"),
        ("EXECUTE p(x := 'a')", "Parameter number 1 has no value"),
        ("EXECUTE p(x := 'a', 'b')", "either by position or by name"),
        ("EXECUTE p('a') now", "Expected the end of EXECUTE"),
        ("EXECUTE p(nobody)", "nobody"),
        ("PREPARE p AS SELECT LLM_COMPLETE('say', body FROM t", "syntax error"),
        ("PREPARE", "Expected a name"),
    ],
)
def test_what_is_wrong_is_said(both: Doors, call: str, says: str) -> None:
    both.begin(writes=True)
    both.con.sql("PREPARE p AS SELECT LLM_COMPLETE('say', ?)")
    with pytest.raises(anserdb.ProgrammingError, match=says):
        both.con.sql(call)
    assert both.asked() == []


def _sql(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
