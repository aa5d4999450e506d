"""Groups made as soon as their parent is done, by queries: the same rows, order within groups and questions as all at once."""

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
from anserdb.udfs.models.base import Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.reader import reader_model
from tests.support.stutter import stuttering_model

WORDS = ("x", "y", "z", "w", "v q", "k")
PARTS = (
    "(SELECT d.id AS id, s.ordinal AS sec, list(u.w) AS ws, count(*) AS n FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word), "
    "LATERAL LLM_SPLIT(s.word || ' y x', 'words') u(w) WHERE LLM_FILTER('mentions y', u.w || s.word) GROUP BY d.id, s.ordinal)"
)
QUERIES = {
    "filter": "SELECT d.id, count(*), list(s.word) FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word) "
    "WHERE LLM_FILTER('mentions x', s.word) GROUP BY d.id",
    "finer": "SELECT d.id, s.word, count(*), list(s.ordinal) FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word) "
    "GROUP BY d.id, s.word HAVING count(*) > 1",
    "left": "SELECT d.id, count(s.word), list(s.word) FROM {t} d LEFT JOIN LATERAL LLM_SPLIT(d.body, 'words') s(word) ON true "
    "GROUP BY ALL",
    "two levels, one popped": "SELECT d.id, s.ordinal, list(u.w) FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word), "
    "LATERAL LLM_SPLIT(s.word || ' y z', 'words') u(w) WHERE LLM_FILTER('mentions y', u.w) GROUP BY d.id, s.ordinal",
    "two levels": "SELECT d.id, list(u.w) FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word), "
    "LATERAL LLM_SPLIT(s.word || ' y z', 'words') u(w) WHERE LLM_FILTER('mentions y', u.w) GROUP BY d.id",
    "asked again": "SELECT d.id, LLM_AGG(s.word, 'sum up') FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word) "
    "WHERE LLM_FILTER('mentions x', s.word) GROUP BY d.id",
    "no key": "SELECT d.author, count(*) FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word) "
    "WHERE LLM_FILTER('mentions x', s.word) GROUP BY d.author",
    "computed": "SELECT d.id, max(length(s.word) + d.id) FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word) "
    "WHERE LLM_FILTER('mentions x', s.word || 'x') AND upper(s.word) <> 'Y' GROUP BY d.id",
    "limit": "SELECT d.id, count(*) FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word) GROUP BY d.id ORDER BY d.id LIMIT 5",
    "types": "SELECT d.big, d.u, list(s.ordinal) FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word) GROUP BY d.big, d.u",
    "groups of groups": f"SELECT id, LLM_AGG(ws::VARCHAR, 'sum up' ORDER BY sec), sum(n) FROM {PARTS} GROUP BY id",
    "groups of asked groups": f"SELECT q.id, list(ws ORDER BY sec) FROM {PARTS} AS q "
    "WHERE LLM_FILTER('mentions y', ws) AND q.sec < 4 GROUP BY q.id",
    "groups of a CTE": f"WITH q AS {PARTS} SELECT id, LLM_AGG(ws::VARCHAR, 'sum up' ORDER BY sec) FROM q WHERE sec > 1 "
    "GROUP BY id HAVING count(*) > 1",
    "groups of a query's rows": "SELECT id, list(w ORDER BY o), count(*) FROM (SELECT d.id AS id, s.word AS w, s.ordinal AS o FROM {t} d, "
    "LATERAL LLM_SPLIT(d.body, 'words') s(word) WHERE LLM_FILTER('mentions x', s.word)) WHERE LLM_FILTER('mentions x', w) GROUP BY id",
    "a CTE read twice": f"WITH q AS {PARTS} SELECT id, LLM_AGG(ws::VARCHAR, 'sum up' ORDER BY sec), (SELECT count(*) FROM q) "
    "FROM q GROUP BY id",
    "a join of groups": f"WITH q AS {PARTS} SELECT a.id, LLM_AGG(a.ws::VARCHAR, 'sum up' ORDER BY a.sec) FROM q a "
    "JOIN docs b ON a.id = b.id AND b.id < 9 GROUP BY a.id",
    "prompts": "SELECT d.id, list(s.word) FROM {t} d, LATERAL LLM_SPLIT(d.body, 'words') s(word) "
    "WHERE LLM_FILTER('mentions x', s.word, batch_rows := 4) GROUP BY d.id",
}


def unsteady(seed: int) -> tuple[ScriptedModel, Counter[str]]:
    random, asked = Random(seed), Counter[str]()

    async def delay(request: Request) -> None:
        assert isinstance(request, Generate)
        asked[request.system + request.user] += 1
        await asyncio.sleep(random.random() * 0.002)
        if "k" in request.user and '"parts"' in request.system and request.user.count("k") > 1:
            raise ModelError("a fault of the test")

    async def pace(_: str) -> None:
        await asyncio.sleep(0)

    return reader_model(delay=delay, pace=pace), asked


@pytest.fixture(scope="module")
def connection() -> Iterator[tuple[anserdb.Connection, Counter[str]]]:
    model, asked = unsteady(1)
    random = Random(7)
    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as made:
        made.register_model("m", model)
        bodies = [" ".join(random.choice(WORDS) for _ in range(random.randrange(0, 9))) for _ in range(40)]
        rows = ", ".join(f"({i}, '{body}', {i % 3})" for i, body in enumerate(bodies))
        columns = "id, body, author, id::HUGEINT AS big, format('00000000-0000-0000-0000-{:012d}', id)::UUID AS u"
        made.sql(
            f"CREATE TABLE docs AS SELECT {columns} FROM (VALUES {rows}, (40, NULL, 0), (41, '', 1)) AS v(id, body, author)"
        )
        made.sql(
            "CREATE TABLE twice AS FROM docs; INSERT INTO twice FROM docs WHERE id < 5; INSERT INTO twice FROM docs WHERE id = 3"
        )
        made.sql("CREATE TABLE declared AS FROM docs; ALTER TABLE declared ADD PRIMARY KEY (id)")
        made.sql("CREATE TABLE nothing AS FROM docs WHERE false")
        yield made, asked


def ran(made: tuple[anserdb.Connection, Counter[str]], sql: str, disabled: str) -> tuple[list[Any], Counter[str]]:
    connection, asked = made
    connection.sql(f"SET llm_disabled_rules = '{disabled}'")
    asked.clear()
    result = connection.sql(sql)
    assert result is not None
    rows = sorted(result.fetchall(), key=repr)
    return rows, Counter(asked)


@pytest.mark.parametrize("table", ["docs", "twice", "declared", "nothing"])
@pytest.mark.parametrize("name", QUERIES)
def test_groups_are_those_of_all_rows_at_once(
    name: str, table: str, connection: tuple[anserdb.Connection, Counter[str]]
) -> None:
    sql = QUERIES[name].format(t=table)
    rows, asked = ran(connection, sql, "")
    explained = connection[0].sql(f"EXPLAIN {sql}")
    assert explained is not None
    plan = str(explained.fetchall())
    assert ("each when its" in plan) == (name != "a CTE read twice")
    expected, questions = ran(connection, sql, "nested_ancestry")
    assert rows == expected
    if name != "prompts":  # which rows share a prompt may differ
        assert asked == questions


@pytest.mark.parametrize("name", ["filter", "left", "two levels", "two levels, one popped", "asked again"])
def test_what_was_heard_of_a_refused_answer_is_taken_back(name: str) -> None:
    async def pace(_: str) -> None:
        await asyncio.sleep(0.001)

    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as made:
        made.register_model("m", stuttering_model(pace))
        made.sql("CREATE TABLE docs (id INTEGER PRIMARY KEY, body VARCHAR)")
        made.sql("INSERT INTO docs VALUES (1, 'x y x'), (2, 'z'), (3, 'y x'), (4, 'x x y z w'), (5, NULL)")
        sql = QUERIES[name].format(t="docs")
        rows, _ = ran((made, Counter()), sql, "")
        expected, _ = ran((made, Counter()), sql, "nested_ancestry")
        assert rows == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT d.id, list(s.w) FROM docs d, LLM_SPLIT(d.body, 'words') s(w) WHERE LLM_COMPLETE('say', s.w) <> '' GROUP BY d.id",
        "SELECT d.id, s.w FROM docs d, LLM_SPLIT(d.body, 'words') s(w) WHERE LLM_COMPLETE('say', s.w) <> ''",
        "SELECT d.id, s.w, LLM_COMPLETE('say', s.w) FROM docs d, LLM_SPLIT(d.body, 'words') s(w)",
    ],
)
def test_a_part_is_asked_about_while_the_next_is_being_written(sql: str) -> None:
    asked = threading.Event()
    heard: list[bool] = []

    async def delay(request: Request) -> None:
        if '"parts"' not in request.system:  # type: ignore[union-attr]
            asked.set()

    async def pace(said: str) -> None:
        if "second" in said:  # the list is not over: nobody could know of the first part unless they had heard it
            heard.append(await asyncio.to_thread(asked.wait, 20))

    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as made:
        made.register_model("m", reader_model(delay=delay, pace=pace))
        made.sql("CREATE TABLE docs AS SELECT 1 AS id, 'firstpart second third' AS body")
        result = made.sql(sql)
        assert result is not None
        rows = [word for row in result.fetchall() for word in (row[1] if isinstance(row[1], list) else [row[1]])]
    assert rows == ["firstpart", "second", "third"]
    assert heard
    assert all(heard)
