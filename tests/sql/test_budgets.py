"""Budgets of a whole query: what a cap leaves of it, and how it goes on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BindError, BudgetExceeded
from tests.support.doors import connect, until
from tests.support.loopback import Fault, LoopbackServer, user_text

ROWS = 40
STREAM = "SELECT id, LLM_COMPLETE('say', body) AS x FROM t"
PARTIAL = [
    STREAM,
    f"{STREAM} ORDER BY id",
    "SELECT id, upper(LLM_COMPLETE('say', body)) AS x FROM t",
    "SELECT id FROM t WHERE LLM_COMPLETE('say', body) > 'm'",
    "SELECT id FROM t WHERE LLM_COMPLETE('say', body) > 'm' AND id >= 0 ORDER BY id",
    "SELECT g, LLM_AGG(body, 'say') AS x FROM t GROUP BY g ORDER BY g",
]
WHOLE = [
    "SELECT count(*) AS n FROM t WHERE LLM_COMPLETE('say', body) > 'm'",
    "SELECT DISTINCT LLM_COMPLETE('say', body)[:1] AS x FROM t",
    "SELECT id, row_number() OVER () AS n, LLM_COMPLETE('say', body) AS x FROM t",
    "SELECT id FROM t ORDER BY LLM_COMPLETE('say', body) LIMIT 3",
    "SELECT id FROM t LEFT JOIN (SELECT id, LLM_COMPLETE('say', body) AS x FROM t) USING (id)",
    "SELECT id FROM t EXCEPT SELECT id FROM t WHERE LLM_COMPLETE('say', body) > 'm'",
    "SELECT max(x) AS x FROM (SELECT LLM_COMPLETE('say', body) AS x FROM t)",
    "SELECT list_transform(list(body), lambda b: LLM_COMPLETE('say', b)) AS x FROM t",
]


@pytest.fixture
def con(tmp_path: Path) -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="scripted", llm_concurrency=4) as con:
        con.sql(f"CREATE TABLE t AS SELECT i AS id, i % 10 AS g, 'body ' || i AS body FROM range({ROWS}) r(i)")
        yield con


def run(con: anserdb.Connection, query: str) -> tuple[list[tuple[Any, ...]], list[str], int]:
    """Rows, notices and calls."""
    result = con.sql(query)
    assert result is not None
    rows = result.fetchall()
    assert result.progress is not None
    return rows, result.notices, result.progress.calls


def expected(query: str) -> list[tuple[Any, ...]]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql(f"CREATE TABLE t AS SELECT i AS id, i % 10 AS g, 'body ' || i AS body FROM range({ROWS}) r(i)")
        return run(con, query)[0]


@pytest.mark.parametrize("query", PARTIAL)
def test_a_part_is_the_head_of_the_result_and_reruns_go_on_to_its_end(con: anserdb.Connection, query: str) -> None:
    full = expected(query)
    con.sql("SET llm_max_calls = 7; SET llm_on_budget = 'partial'")
    calls, length, runs, notices = 0, 0, 0, ["more"]
    while notices:
        rows, notices, made = run(con, query)
        assert rows == full[: len(rows)]
        assert len(rows) >= length
        assert made <= 7
        calls, length, runs = calls + made, len(rows), runs + 1
        if notices:
            assert made == 7
            [notice] = notices
            assert notice.startswith("This is a part of the result: llm_max_calls = 7 is reached, 7 calls spent.")
    questions = 10 if "LLM_AGG" in query else ROWS
    assert (length, calls, runs) == (len(full), questions, math.ceil(questions / 7))


def test_the_notice_says_how_many_rows_are_missing_however_many_there_are(con: anserdb.Connection) -> None:
    con.sql("INSERT INTO t SELECT i, i % 10, 'body ' || i FROM range(40, 200_000) r(i)")
    con.sql("SET llm_max_calls = 123; SET llm_on_budget = 'partial'")
    rows, (notice,), calls = run(con, STREAM)
    assert (len(rows), calls) == (123, 123)
    assert "199,877 of 200,000 input rows are missing" in notice


def test_parts_that_wait_are_no_input_rows(con: anserdb.Connection) -> None:
    con.sql("SET llm_max_calls = 41; SET llm_on_budget = 'partial'")
    parts = "UNNEST(LLM_COMPLETE('list', t.body, returns := 'VARCHAR[]')) AS u(part)"
    _, (notice,), calls = run(con, f"SELECT t.id, part FROM t, {parts} WHERE LLM_COMPLETE('say', part) > ''")
    assert calls == 41
    found = re.search(r"At least (\d+) of 40 input rows and (\d+) parts of others are missing", notice)
    assert found, notice
    assert int(found[1]) <= ROWS


def test_of_two_calls_in_a_row_the_part_is_what_both_have_answered(con: anserdb.Connection) -> None:
    query = "SELECT id, LLM_COMPLETE('explain', body) AS y FROM t WHERE LLM_COMPLETE('say', body) > 'm' ORDER BY id"
    full = expected(query)
    con.sql("SET llm_max_calls = 20; SET llm_on_budget = 'partial'")
    rows, (notice,), calls = run(con, query)
    assert calls == 20
    assert rows == full[: len(rows)]
    assert len(rows) < len(full)
    assert "at least" in notice.lower()


def test_a_cap_is_not_filled_with_calls_that_wait_for_their_turn() -> None:
    # Else the first call of later rows takes the cap, and no row gets its second.
    query = "SELECT id, LLM_COMPLETE('explain', body) AS y FROM t WHERE LLM_COMPLETE('say', body) > '' ORDER BY id"
    with LoopbackServer(latency_s=0.02) as server, connect(server, rows=60, llm_concurrency=4) as con:
        con.sql("SET llm_max_calls = 20; SET llm_on_budget = 'partial'")
        rows, (notice,), calls = run(con, query)
        assert calls == server.stats.requests == 20
    assert len(rows) >= 5
    assert "20 calls spent" in notice


def test_a_limit_that_is_served_is_no_part(con: anserdb.Connection) -> None:
    con.sql("SET llm_max_calls = 7; SET llm_on_budget = 'partial'")
    assert run(con, f"{STREAM} LIMIT 7")[1] == []
    rows, (notice,), _ = run(con, "SELECT id FROM t WHERE LLM_COMPLETE('other', body) > 'a' LIMIT 30")
    assert len(rows) <= 7
    assert f"{30 - len(rows)} rows of its LIMIT may be missing" in notice


@pytest.mark.parametrize("query", WHOLE)
def test_where_a_part_would_be_a_wrong_answer_it_is_an_error(con: anserdb.Connection, query: str) -> None:
    con.sql("SET llm_max_calls = 7; SET llm_on_budget = 'partial'")
    with pytest.raises(BudgetExceeded, match="'partial' does not apply here") as stopped:
        run(con, query)
    assert (stopped.value.setting, stopped.value.spent, stopped.value.limit) == ("llm_max_calls", 7, 7)
    con.sql("RESET llm_max_calls")
    rows, notices, calls = run(con, query)
    assert (notices, calls) == ([], ROWS - 7)
    assert sorted(map(str, rows)) == sorted(map(str, expected(query)))


def test_a_table_is_made_of_all_rows_or_not_at_all(con: anserdb.Connection) -> None:
    con.sql("SET llm_max_calls = 7; SET llm_on_budget = 'partial'")
    with pytest.raises(BudgetExceeded, match="'partial' does not apply here"):
        con.sql(f"CREATE TABLE u AS {STREAM}")
    assert con.tables() == [("main", "t")]


def test_an_error_tells_what_was_spent_and_done(con: anserdb.Connection) -> None:
    con.sql("SET llm_max_calls = 7")
    got: list[Any] = []
    result = con.sql(STREAM)
    assert result is not None
    with pytest.raises(BudgetExceeded) as stopped:
        for batch in result.batches():
            got += batch.to_pylist()
    assert (stopped.value.spent, stopped.value.limit) == (7, 7)
    assert len(got) <= 7
    assert "'partial'" not in str(stopped.value)


def test_an_unknown_way_is_refused(con: anserdb.Connection) -> None:
    with pytest.raises(BindError, match="'error' or 'partial'"):
        con.sql("SET llm_on_budget = 'half'")


@pytest.mark.usefixtures("short_backoff")
@pytest.mark.parametrize(("setting", "limit"), [("llm_max_tokens", 3000), ("llm_max_cost_usd", 0.003)])
@pytest.mark.parametrize("seed", range(3))
def test_the_server_never_gives_more_than_the_cap(setting: str, limit: float, seed: int) -> None:
    """At a million tokens to the dollar both caps mean the same; retries, re-asks and long answers included."""
    dice = Random(seed)

    def fault(number: int, body: dict[str, Any]) -> Fault | None:
        del number, body
        return dice.choice([Fault(429, {"retry-after-ms": "1"}), Fault("drop"), None, None, None, None])

    def answer(body: dict[str, Any]) -> str:
        return " ".join(["word"] * (1 + len(user_text(body)) % 5))

    with LoopbackServer(fault=fault, answer=answer) as server, connect(server, rows=400, llm_concurrency=9) as con:
        con.sql("ALTER MODEL remote SET (price_in 1, price_out 1)")
        con.sql(f"SET {setting} = {limit}; SET llm_on_budget = 'partial'")
        query = "SELECT id, LLM_COMPLETE('say', body, max_tokens := 20) AS x FROM t ORDER BY id"
        rows, notices, calls = run(con, query)
        (notice,) = [n for n in notices if "a part of the result" in n]  # a row may have failed too often, besides
        taken = server.stats.tokens_in + server.stats.tokens_out
        assert 1500 < taken <= 3000
        assert f"{setting} = {limit:g} is reached" in notice
        assert [row[0] for row in rows] == list(range(len(rows)))
        assert 0 < len(rows) <= calls
        more = run(con, query)
        assert len(more[0]) >= len(rows) + 10


def test_a_cap_on_tokens_needs_no_price() -> None:
    with LoopbackServer() as server, connect(server, rows=400, llm_max_tokens=2000) as con:
        with pytest.raises(BudgetExceeded, match="llm_max_tokens = 2000"):
            run(con, STREAM)
        assert server.stats.tokens_in + server.stats.tokens_out <= 2000


@pytest.mark.parametrize("way", ["error", "partial"])
def test_time_ends_calls_that_are_never_answered(way: str) -> None:
    def held(number: int, body: dict[str, Any]) -> Fault | None:
        del number
        return Fault("timeout") if int(user_text(body).rstrip(".").rpartition(" ")[2]) >= 10 else None

    with LoopbackServer(fault=held) as server, connect(server, rows=30, llm_concurrency=5) as con:
        con.sql(f"SET llm_max_seconds = 1; SET llm_on_budget = '{way}'")
        if way == "partial":
            rows, (notice,), _ = run(con, STREAM)
            assert [row[0] for row in rows] == list(range(len(rows)))
            assert len(rows) <= 10
            assert "llm_max_seconds = 1 is reached" in notice
        else:
            with pytest.raises(BudgetExceeded, match="llm_max_seconds = 1") as stopped:
                run(con, STREAM)
            assert stopped.value.spent >= 1
        until(lambda: server.stats.in_flight == 0)
        assert server.stats.requests <= 15  # what waited for a slot was not sent after the time
        con.sql("RESET llm_max_seconds")
        assert len(run(con, f"{STREAM} WHERE id < 10")[0]) == 10


def test_time_does_not_stop_what_needs_no_model(con: anserdb.Connection) -> None:
    run(con, STREAM)
    con.sql("SET llm_max_seconds = 0")
    assert len(run(con, STREAM)[0]) == ROWS
    with pytest.raises(BudgetExceeded, match="llm_max_seconds = 0"):
        run(con, "SELECT LLM_COMPLETE('new', body) AS x FROM t")
