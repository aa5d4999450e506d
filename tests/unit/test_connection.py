"""Connections: whose they are, scripts, Python variables as tables, threads, ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import anserdb
from anserdb.engine.interfaces.connection import connect
from tests.support.gate import Gate

ROOT = Path(__file__).parents[2]
frame_of_module = pd.DataFrame({"body": ["frame_of_module"]})


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("CREATE TABLE t AS SELECT i AS id, 'body ' || i AS body FROM range(20) r(i)")
        yield con


def rows(con: anserdb.Connection, query: str, params: Any = None) -> list[tuple[Any, ...]]:
    result = con.sql(query, params)
    assert result is not None
    return result.fetchall()


# --- opening and closing ----------------------------------------------------------------------------------------------


def test_a_database_file_and_its_store_live_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with anserdb.connect(path, llm_model="scripted") as con:
        con.sql("CREATE TABLE t AS SELECT 'x' AS body")
        first = rows(con, "SELECT LLM_COMPLETE('q', body) FROM t")
    with anserdb.connect(path, read_only=True, llm_model="scripted") as con:
        result = con.sql("SELECT LLM_COMPLETE('q', body) FROM t")
        assert result is not None
        assert result.fetchall() == first
        assert result.progress is not None
        assert result.progress.calls == 0
        with pytest.raises(anserdb.Error, match="read-only"):
            con.sql("CREATE TABLE u AS SELECT 1")
    assert len(list(tmp_path.iterdir())) == 2


def test_closing_twice_and_using_after(con: anserdb.Connection) -> None:
    unread, half_read = con.sql("SELECT LLM_COMPLETE('q', body) FROM t"), con.sql("SELECT * FROM t")
    assert unread is not None
    assert half_read is not None
    half_read.fetchone()
    con.close()
    con.close()
    for use in (lambda: con.sql("SELECT 1"), con.cursor, con.commit, con.rollback, con.usage, unread.fetchall):
        with pytest.raises(anserdb.InterfaceError, match="connection is closed"):
            use()
    con.interrupt()


def test_a_passed_in_connection_stays_open_and_clean() -> None:
    native = duckdb.connect()
    con = anserdb.connect(native, store=":memory:", llm_model="scripted")
    half_read = con.sql("WITH a AS (SELECT LLM_COMPLETE('q', 'x') AS x) SELECT x, range FROM a, range(10_000)")
    assert half_read is not None
    half_read.fetchone()
    con.close()
    assert native.execute("SELECT 1").fetchall() == [(1,)]
    left = "SELECT count(*) FROM duckdb_views() WHERE NOT internal UNION ALL SELECT count(*) FROM duckdb_functions() WHERE NOT internal"
    assert native.execute(left).fetchall() == [(0,), (0,)]
    native.close()


def test_wrong_settings_and_places_are_told() -> None:
    with pytest.raises(anserdb.BindError, match=r"There is no setting llm_modl\. Did you mean llm_model"):
        anserdb.connect(llm_modl="x")
    with pytest.raises(anserdb.OperationalError):
        anserdb.connect("/nowhere/at/all.duckdb")
    with pytest.raises(anserdb.OperationalError):
        anserdb.connect(store="/proc/no/store.anser")


@pytest.mark.parametrize(
    "left", ["", "r.fetchone()", "e.fetchone(); r.fetchone()", "n.fetchone()", "r.arrow()", "con.close()"]
)
def test_a_program_that_just_ends_says_nothing(left: str) -> None:
    program = f"""
import anserdb
con = anserdb.connect(store=":memory:", llm_model="scripted")
con.sql("CREATE TABLE t AS SELECT 'b' || range AS body FROM range(5000)")
r = con.sql("SELECT LLM_COMPLETE('x', body) FROM t")
e = con.sql("SELECT list_transform([body], lambda z: LLM_COMPLETE('q', z)) FROM t")
n = con.sql("SELECT * FROM t")
{left}
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# --- statements -------------------------------------------------------------------------------------------------------


def test_a_script_runs_in_order_and_gives_its_last_result(con: anserdb.Connection) -> None:
    script = """
        CREATE TABLE made AS SELECT id, LLM_COMPLETE('q; --', body) AS x FROM t; -- a comment; with a semicolon
        SET llm_max_calls = 5;
        INSERT INTO made VALUES (100, 'a;b');
        SELECT count(*) FROM made /* ; */;
    """
    assert rows(con, script) == [(21,)]
    assert con.settings.llm_max_calls == 5


def test_an_error_ends_a_script_where_it_is(con: anserdb.Connection) -> None:
    with pytest.raises(anserdb.ProgrammingError):
        con.sql("CREATE TABLE one AS SELECT 1; SELECT LLM_FILTR('x', body) FROM t; CREATE TABLE two AS SELECT 2")
    assert ("main", "one") in con.tables()
    assert ("main", "two") not in con.tables()


@pytest.mark.parametrize("nothing", ["", "  ", "-- only a comment", ";"])
def test_nothing_is_no_result(con: anserdb.Connection, nothing: str) -> None:
    assert con.sql(nothing) is None


def test_transactions_cover_semantic_changes(con: anserdb.Connection) -> None:
    con.sql("BEGIN")
    con.sql("CREATE TABLE made AS SELECT LLM_COMPLETE('q', body) AS x FROM t")
    con.rollback()
    con.rollback()
    with pytest.raises(anserdb.ProgrammingError, match="made"):
        con.sql("SELECT * FROM made")
    con.sql("BEGIN; CREATE TABLE kept AS SELECT 1")
    con.commit()
    con.commit()
    assert rows(con, "SELECT count(*) FROM kept") == [(1,)]


def test_explain_and_what_there_is(con: anserdb.Connection) -> None:
    query = "SELECT id FROM t WHERE LLM_FILTER('q', body)"
    assert "LLM_FILTER" in con.explain(query)
    assert "LLM_FILTER" in con.explain(query, analyze=True)
    assert con.tables() == [("main", "t")]
    assert con.table_columns("t") == [("id", "BIGINT"), ("body", "VARCHAR")]
    assert con.usage().num_rows == 1
    assert con.duckdb.sql("SELECT 1").fetchall() == [(1,)]


# --- Python variables -------------------------------------------------------------------------------------------------

PLAIN, SEMANTIC = "SELECT body FROM {}", "SELECT body FROM {} WHERE LLM_COMPLETE('q', body) IS NOT NULL"
EMBEDDED = "SELECT body FROM {} WHERE list_transform([body], lambda z: LLM_COMPLETE('q', z)) IS NOT NULL"


@pytest.mark.parametrize("query", [PLAIN, SEMANTIC, EMBEDDED])
def test_the_callers_variables_are_tables(con: anserdb.Connection, query: str) -> None:
    local, frame = pd.DataFrame({"body": ["local"]}), pl.DataFrame({"body": ["frame"]})
    arrow, relation = pa.table({"body": ["arrow"]}), con.duckdb.sql("SELECT 'relation' AS body")
    for name in ("local", "arrow", "frame", "frame_of_module", "relation"):
        result = con.sql(query.format(name))
        assert result is not None
        assert result.fetchall() == [(name,)]
    assert con.execute(query.format("local")).fetchall() == [("local",)]
    del local, arrow, frame, relation
    with pytest.raises(anserdb.ProgrammingError, match="local does not exist"):
        con.sql(query.format("local"))


@pytest.mark.parametrize("query", [PLAIN, SEMANTIC, EMBEDDED])
def test_a_result_keeps_the_variable_it_was_made_with(con: anserdb.Connection, query: str) -> None:
    results: list[Any] = []
    for body in ("first", "second"):
        frame = pd.DataFrame({"body": [body]})
        results.append(con.sql(query.format("frame")))
    del frame
    con.sql("CREATE OR REPLACE TABLE other AS SELECT 1")
    assert [r.fetchone() for r in results] == [("first",), ("second",)]
    assert [r.fetchone() for r in results] == [None, None]


def test_a_table_wins_over_a_variable_and_ours_are_not_seen(con: anserdb.Connection) -> None:
    t = pd.DataFrame({"body": ["variable"]})
    counted = con.sql("SELECT count(*) FROM t")
    assert counted is not None
    assert (counted.fetchall(), len(t)) == ([(20,)], 1)
    for internal in ("query", "session", "variables", "prepared", "params"):
        with pytest.raises(anserdb.ProgrammingError, match=f"{internal} does not exist"):
            con.sql(f"SELECT * FROM {internal}")


# --- threads ----------------------------------------------------------------------------------------------------------


def test_threads_take_turns_on_one_connection(con: anserdb.Connection) -> None:
    queries = [
        "SELECT id, LLM_COMPLETE('{i}', body) FROM t ORDER BY id",
        "SELECT id, body || '{i}' FROM t ORDER BY id",
        "SELECT id, list_transform([body], lambda z: LLM_COMPLETE('{i}', z)) FROM t ORDER BY id",
        "WITH a AS (SELECT id, LLM_COMPLETE('a {i}', body) AS x FROM t) SELECT t.id, x FROM t JOIN a USING (id) ORDER BY t.id",
        "CREATE OR REPLACE TABLE made{i} AS SELECT id, LLM_COMPLETE('m {i}', body) AS x FROM t",
    ]
    expected = {q.format(i=i): rows(con, q.format(i=i)) for q in queries for i in range(3)}
    got: dict[str, list[Any]] = {}
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for query in queries[number % 5 :] + queries[: number % 5]:
                text = query.format(i=number % 3)
                result = con.sql(text)
                assert result is not None
                first = result.fetchmany(1)
                got[text] = first + result.fetchall()
                assert got[text] == expected[text], text
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert failures == []
    assert got == expected


def test_interrupt_from_another_thread(con: anserdb.Connection) -> None:
    gate = Gate()
    con.register_model("gate", gate.model)
    raised: list[BaseException] = []

    def work(query: str) -> None:
        try:
            rows(con, query)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work, args=("SELECT LLM_COMPLETE('q', body, model := 'gate') FROM t",))
    thread.start()
    gate.wait_for(8)
    con.interrupt()
    thread.join(60)
    assert [type(e) for e in raised] == [anserdb.Interrupted]
    assert gate.model.in_flight == 0
    gate.open()
    assert len(rows(con, "SELECT LLM_COMPLETE('q', body, model := 'gate') FROM t")) == 20


def test_interrupt_stops_plain_sql(con: anserdb.Connection) -> None:
    result = con.sql("SELECT count(*) FROM range(10_000_000) a, range(10_000_000) b WHERE a.range + b.range < 0")
    assert result is not None
    stopping, stop = threading.Event(), threading.Event()

    def interrupt() -> None:
        stopping.set()
        while not stop.wait(0.01):
            con.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(anserdb.Interrupted):
        result.fetchall()
    stop.set()
    thread.join()
    assert rows(con, "SELECT 1") == [(1,)]


def test_progress_is_told_while_waiting(con: anserdb.Connection) -> None:
    gate = Gate("body 19")
    con.register_model("gate", gate.model)
    seen: list[int] = []

    def listen(progress: Any) -> None:
        seen.append(progress.calls)
        if len(seen) > 2:
            gate.open()

    con.progress_listener = listen
    assert len(rows(con, "SELECT LLM_COMPLETE('q', body, model := 'gate') FROM t")) == 20
    assert seen[-1] == 20


def test_connect_is_what_the_package_exports() -> None:
    assert anserdb.connect is connect
