"""Lists of scalar calls, unnested by hand: the same rows and questions as with a barrier, without rules, and in DuckDB's own UNNEST."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import ModelError
from anserdb.engine.session import Planned, Session
from anserdb.engine.sql.bind import StatementBinder
from anserdb.engine.sql.scope import NotLiftableError
from anserdb.udfs.models.base import Generate, Request
from tests.support.reader import reader_model

WORDS = ("x", "y", "-", "w", "x y", "k k")
LIST = "LLM_COMPLETE('words', d.body, returns := 'VARCHAR[]')"
AGAIN = "LLM_COMPLETE('words', s.w || ' y', returns := 'VARCHAR[]')"
LATERALS = {
    "function": f"{{t}} d, UNNEST({LIST}) AS s(w)",
    "numbered": f"{{t}} d CROSS JOIN UNNEST({LIST}) WITH ORDINALITY AS s(w, n)",
    "query": f"{{t}} d, LATERAL (SELECT UNNEST({LIST}) AS w) AS s",
    "left": f"{{t}} d LEFT JOIN UNNEST({LIST}) WITH ORDINALITY AS s(w, n) ON true",
    "inner": f"{{t}} d JOIN UNNEST({LIST}) AS s(w) ON s.w <> 'y'",
}
SELECTS = {
    "rows": "SELECT d.id, s.* FROM {source} WHERE LLM_FILTER('mentions x', s.w || d.id)",
    "groups": "SELECT d.id, count(*), count(s.w), list(s.w ORDER BY s.w) FROM {source} GROUP BY d.id",
    "asked": "SELECT d.id, list(s.w ORDER BY s.w) FROM {source} WHERE LLM_FILTER('mentions x', s.w) GROUP BY d.id",
    "deeper": f"SELECT d.id, s.w, u.w FROM {{source}}, UNNEST({AGAIN}) AS u(w) WHERE u.w <> 'z'",
}
OTHERS = {
    "part of a number": f"SELECT d.id, s.n, list(u.w ORDER BY u.w) FROM {{t}} d, UNNEST({LIST}) WITH ORDINALITY s(w, n), "
    f"UNNEST({AGAIN}) AS u(w) WHERE LLM_FILTER('mentions y', u.w) GROUP BY d.id, s.n",
    "selected": f"SELECT d.id, UNNEST({LIST}) AS w, LLM_FILTER('mentions x', w) AS f, d.id + 1 AS n FROM {{t}} d",
    "selected in a query": f"SELECT id, count(*), LLM_SUMMARIZE(w) FROM (SELECT d.id, UNNEST({LIST}) AS w FROM {{t}} d) GROUP BY id",
    "selected in a CTE": f"WITH q AS (SELECT d.id AS i, UNNEST({LIST}) AS w FROM {{t}} d) SELECT i, list(w ORDER BY w) FROM q "
    "WHERE LLM_FILTER('mentions x', w) GROUP BY i",
    "a field": "SELECT d.id, s.w FROM {t} d, UNNEST(string_split(LLM_EXTRACT(d.body, {x: 'VARCHAR'}).x, 'o')) AS s(w)",
    "of a row's words": f"SELECT d.id, u.c FROM {{t}} d, UNNEST({LIST}) s(w), UNNEST([s.w, d.body]) AS u(c) WHERE LLM_FILTER('mentions x', u.c)",
    "structs": "SELECT d.id, s.p.part, p.ordinal FROM {t} d, UNNEST(LLM_SPLIT(d.body, 'words')) s(p) WHERE LLM_FILTER('mentions x', p.part)",
    "joined": f"SELECT d.id, s.w, e.id FROM {{t}} d, UNNEST({LIST}) s(w) JOIN docs e ON e.id = d.id + 1 LEFT JOIN docs f ON f.id > e.id + 9",
    "joined, kept": f"SELECT d.id, s.w, e.body FROM {{t}} d LEFT JOIN UNNEST({LIST}) s(w) ON true LEFT JOIN docs e ON e.id = d.id + 1",
    "joined groups": f"SELECT d.id, count(*), list(s.w ORDER BY s.w), max(e.id) FROM {{t}} d, UNNEST({LIST}) s(w) "
    "JOIN docs e ON e.id = d.id + 1 WHERE LLM_FILTER('mentions x', s.w) AND e.id > 2 GROUP BY d.id",
}
QUERIES = {
    f"{way} {what}": SELECTS[what].replace("{source}", LATERALS[way]) for way in LATERALS for what in SELECTS
} | OTHERS

GROUPED = ["numbered groups", "left asked", "part of a number", "selected in a CTE", "joined groups"]

Made = tuple[anserdb.Connection, Counter[str]]


@pytest.fixture(scope="module")
def connection() -> Iterator[Made]:
    random, asked = Random(3), Counter[str]()

    async def delay(request: Request) -> None:
        assert isinstance(request, Generate)
        asked[request.system + request.user] += 1
        await asyncio.sleep(random.random() * 0.001)
        if request.user.count("k") > 2:
            raise ModelError("a fault of the test")

    async def pace(_: str) -> None:
        await asyncio.sleep(0)

    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as made:
        made.register_model("m", reader_model(delay=delay, pace=pace))
        bodies = [" ".join(random.choice(WORDS) for _ in range(random.randrange(0, 6))) for _ in range(12)]
        rows = ", ".join(f"({i}, '{body}')" for i, body in enumerate(bodies))
        made.sql(
            f"CREATE TABLE docs AS FROM (VALUES {rows}, (16, NULL), (17, ''), (18, 'null'), (19, 'x=yoyo')) v(id, body)"
        )
        made.sql("CREATE TABLE twice AS FROM docs; INSERT INTO twice FROM docs WHERE id < 3")
        made.sql("CREATE TABLE nothing AS FROM docs WHERE false")
        yield made, asked


def ran(made: Made, sql: str, disabled: str) -> tuple[list[Any], Counter[str]]:
    connection, asked = made
    connection.sql(f"SET llm_disabled_rules = '{disabled}'")
    asked.clear()
    result = connection.sql(sql)
    assert result is not None
    return sorted(result.fetchall(), key=repr), Counter(asked)


def embedded(made: Made, sql: str) -> str:
    session = made[0]._session
    assert isinstance(session, Session)
    planned = session.plan(sql)
    assert isinstance(planned, Planned)
    return planned.embedded


@pytest.mark.parametrize(
    ("name", "table"),
    [*((name, "docs") for name in QUERIES), *((name, t) for name in GROUPED for t in ("twice", "nothing"))],
)
def test_rows_are_those_of_every_other_road(
    name: str, table: str, connection: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = QUERIES[name].format_map({"t": table}) if name != "a field" else QUERIES[name].replace("{t}", table)
    assert not embedded(connection, sql)
    rows, asked = ran(connection, sql, "")
    barrier, questions = ran(connection, sql, "nested_ancestry, early_parts")
    assert rows == barrier
    assert asked == questions
    assert rows == ran(connection, sql, "all")[0]

    def refuse(_: StatementBinder) -> None:
        raise NotLiftableError("a test")

    if table != "docs":
        return
    monkeypatch.setattr(StatementBinder, "bind", refuse)
    assert embedded(connection, sql)
    assert rows == ran(connection, sql, "")[0]


@pytest.mark.parametrize("name", ["left asked", "query groups", *GROUPED])
def test_groups_go_back_to_their_row(name: str, connection: Made) -> None:
    connection[0].sql("SET llm_disabled_rules = ''")
    explained = connection[0].sql(f"EXPLAIN {QUERIES[name].format(t='docs')}")
    assert explained is not None
    plan = str(explained.fetchall())
    assert "each when its" in plan
    assert "as they are written" in plan


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT d.id, s.w FROM docs d, UNNEST(LLM_COMPLETE('list', d.body, returns := 'VARCHAR[]')) s(w) "
        "WHERE LLM_COMPLETE('say', s.w) <> ''",
        "SELECT d.id, UNNEST(LLM_COMPLETE('list', d.body, returns := 'VARCHAR[]')) AS w, LLM_COMPLETE('say', w) FROM docs d",
    ],
)
def test_an_element_is_asked_about_while_the_next_is_being_written(sql: str) -> None:
    asked = threading.Event()
    heard: list[bool] = []

    async def delay(request: Request) -> None:
        if "say" in request.system:  # type: ignore[union-attr]
            asked.set()

    async def pace(said: str) -> None:
        if "second" in said:  # the list is not over: nobody could know of the first element unless they had heard it
            heard.append(await asyncio.to_thread(asked.wait, 20))

    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as made:
        made.register_model("m", reader_model(delay=delay, pace=pace))
        made.sql("CREATE TABLE docs AS SELECT 1 AS id, 'firstpart second third' AS body")
        result = made.sql(sql)
        assert result is not None
        assert [row[1] for row in result.fetchall()] == ["firstpart", "second", "third"]
    assert heard
    assert all(heard)
