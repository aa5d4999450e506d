"""Calls that share what they may lose meet between rows: rows come through whatever the plan, and nobody waits for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import ModelError, OperationalError
from anserdb.engine.physical.meetings import FIRST, following, meets
from anserdb.udfs.models.base import ChoiceAnswer, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.sql.test_arms import rows

ROWS = 250
COLOUR = "LLM_CLASSIFY(body, ['red', 'green', 'blue'])"
SIZE = "LLM_CLASSIFY(body || ' again', ['big', 'small'])"
BOTH = f"SELECT id, {COLOUR} AS colour, {SIZE} AS size FROM t"


def said(request: Request) -> str:
    assert isinstance(request, Generate)
    text = request.user.rpartition("number ")[2].split()[0]
    if text == "13 000":
        raise ModelError("no", "m")
    if not isinstance(request.answer, ChoiceAnswer):
        return "{}"  # of rows that share a prompt it makes nothing
    return request.answer.choices[hashlib.blake2b(text.encode()).digest()[0] % len(request.answer.choices)]


@contextmanager
def world(size: int = ROWS) -> Iterator[anserdb.Connection]:
    with anserdb.connect(":memory:", store=":memory:", llm_model="dear", llm_min_quality=0.8) as con:
        for name in ("dear", "good"):
            con.register_model(name, ScriptedModel([(lambda _: True, said)], name=name))
        con.sql("SET llm_candidate_models = 'good'; SET llm_repeatable_first_runs = true")
        con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range({size}) r(i)")
        yield con


def reference(con: anserdb.Connection, query: str) -> list[tuple[Any, ...]]:
    con.sql("RESET llm_min_quality")
    try:
        return rows(con, query)
    finally:
        con.sql("SET llm_min_quality = 0.8")


@pytest.mark.parametrize("size", [0, 1, FIRST - 1, FIRST, FIRST + 1, following(FIRST), ROWS])
def test_as_many_rows_as_there_are(size: int) -> None:
    with world(size) as con:
        assert rows(con, BOTH) == reference(con, BOTH)


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT id, {SIZE} AS size FROM t WHERE {COLOUR} = 'red' AND LLM_FILTER('is odd', body)",
        f"SELECT id, LLM_CLASSIFY(body, ['a', 'b'], batch_rows := 7) AS x, {SIZE} AS size FROM t",
        f"SELECT id, LLM_COMPLETE('say', body, batch_rows := 7) AS x, {COLOUR} AS c, {SIZE} AS size FROM t",
        f"SELECT id, {COLOUR} AS c, CASE WHEN id % 5 = 0 THEN {SIZE} END AS size FROM t",
        f"SELECT id, LLM_CLASSIFY((id % 3)::VARCHAR, ['a', 'b']) AS few, {SIZE} AS size FROM t",
        f"SELECT count(*) FROM ({BOTH}) GROUP BY colour ORDER BY 1",
        f"{BOTH} ORDER BY colour, id",
        f"{BOTH} LIMIT 70",
        f"SELECT id, {SIZE} AS size FROM (SELECT id, body, {COLOUR} AS c FROM t ORDER BY c, id) WHERE c <> 'red'",
    ],
)
def test_plans_of_all_kinds_end(query: str) -> None:
    with world(130) as con:
        assert rows(con, query) == reference(con, query)


def test_whoever_reads_no_further_holds_up_nobody() -> None:
    with world() as con:
        result = con.sql(BOTH)
        assert result is not None
        assert result.fetchone() is not None
        result.close()
        assert len(rows(con, BOTH)) == ROWS


def test_an_error_ends_the_query_at_a_meeting_too() -> None:
    failing = BOTH.replace("['big', 'small'])", "['big', 'small'], on_error := 'fail')")
    with world() as con:
        con.sql("UPDATE t SET body = 'item number 13 000' WHERE id = 20")
        con.register_model("dear", ScriptedModel([("", ModelError("no", "dear"))], name="dear"))
        with pytest.raises(OperationalError, match="no"):
            rows(con, failing)


def test_only_calls_that_share_meet() -> None:
    with world() as con:
        session = con._open_session()
        one, both = (session.plan(query) for query in (f"SELECT {COLOUR} FROM t", BOTH))
        assert one is not None
        assert both is not None
        assert meets(both.plan)
        assert not meets(one.plan)
