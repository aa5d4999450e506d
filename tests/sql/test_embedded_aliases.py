"""Names of select items that hold a call which stays in the text: they mean what they mean to DuckDB, and ask nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

import anserdb
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.reader import reader_model

SAID = "[LLM_COMPLETE('q', x) for x in [body]]"


@pytest.fixture(scope="module")
def model() -> ScriptedModel:
    return reader_model()


@pytest.fixture(scope="module")
def con(model: ScriptedModel) -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as con:
        con.register_model("m", model)
        con.sql("CREATE TABLE t AS SELECT i AS id, i % 3 AS k, 'text ' || i % 4 AS body FROM range(12) r(i)")
        yield con


def rows(con: anserdb.Connection, sql: str) -> list[tuple[object, ...]]:
    result = con.sql(sql)
    assert result is not None
    return result.fetchall()


@pytest.mark.parametrize(
    ("named", "spelled"),
    [
        ("FROM t SELECT id, {} AS l WHERE l[1] > 'q(text 1)' ORDER BY id",
         "SELECT id, l FROM {t} WHERE l[1] > 'q(text 1)' ORDER BY id"),
        ("SELECT id, l: {}, n: len(l[1]), m: n + 1 FROM t WHERE m > 3 AND k > 0 ORDER BY l, id",
         "SELECT id, l, len(l[1]), len(l[1]) + 1 FROM {t} WHERE len(l[1]) > 2 AND k > 0 ORDER BY l, id"),
        ("SELECT {} AS l, count(*) FROM t WHERE l[1] <> 'q(text 0)' GROUP BY l HAVING l[1] <> 'q(text 1)' ORDER BY l",
         "SELECT l, count(*) FROM {t} WHERE l[1] NOT IN ('q(text 0)', 'q(text 1)') GROUP BY l ORDER BY l"),
        ("SELECT k, [LLM_COMPLETE('q', x) for x in [max(body)]] AS l FROM t GROUP BY k HAVING l[1] = 'q(text 3)' ORDER BY k",
         "SELECT k, ['q(text 3)'] FROM t GROUP BY k HAVING max(body) = 'text 3' ORDER BY k"),
        ("SELECT id, {} AS l FROM t QUALIFY row_number() OVER (ORDER BY id) > 5 AND l[1] <> 'q(text 2)' ORDER BY id",
         "SELECT id, l FROM {t} WHERE id >= 5 AND l[1] <> 'q(text 2)' ORDER BY id"),
        ("SELECT id, {} AS body FROM t WHERE body > 'text 2' ORDER BY id", "SELECT id, l FROM {t} WHERE body > 'text 2' ORDER BY id"),
        ("SELECT id, {} AS \"My List\", \"My list\"[1] AS s FROM t WHERE s = 'q(text 1)' ORDER BY id",
         "SELECT id, l, l[1] FROM {t} WHERE l[1] = 'q(text 1)' ORDER BY id"),
        ("WITH v AS (FROM t WHERE id > 4), w AS (SELECT id, {} AS l FROM v WHERE l[1] = 'q(text 1)') FROM w UNION SELECT id, {} AS l "
         "FROM t WHERE l[1] = 'q(text 0)' AND id < 4 ORDER BY id",
         "SELECT id, l FROM {t} WHERE (id > 4 AND l[1] = 'q(text 1)') OR (id < 4 AND l[1] = 'q(text 0)') ORDER BY id"),
        ("SELECT id, {} AS l, [LLM_COMPLETE('q', y) for y in l] AS m FROM t WHERE m[1] = 'q(q(text 3))' ORDER BY id",
         "SELECT id, l, ['q(q(text 3))'] FROM {t} WHERE l[1] = 'q(text 3)' ORDER BY id"),
    ],
)  # fmt: skip
def test_a_name_stands_for_its_item(con: anserdb.Connection, model: ScriptedModel, named: str, spelled: str) -> None:
    own = "(SELECT *, ['q(' || body || ')'] AS l FROM t)"
    expected = rows(con, spelled.replace("{t}", own))
    assert expected
    model.calls.clear()
    assert rows(con, named.replace("{}", SAID)) == expected
    assert max(Counter(model.calls).values()) == 1


def test_what_repeats_a_call_does_not_keep_it_from_being_asked_beforehand(con: anserdb.Connection) -> None:
    plan = con.explain(f"SELECT id, {SAID} AS l, len(l) AS n FROM t WHERE l[1] > 'a'")
    assert plan.startswith("mode: PREFETCH")
    assert plan.count("call: 1:LLM_COMPLETE") == 1
    assert "call: 2:" not in plan


def test_the_statement_around_it_may_write(con: anserdb.Connection) -> None:
    con.sql(f"CREATE TABLE u AS SELECT id, {SAID} AS l FROM t WHERE l[1] = 'q(text 1)'")
    assert rows(con, "SELECT id FROM u ORDER BY id") == [(1,), (5,), (9,)]
