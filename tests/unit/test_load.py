"""``anserdb.load()``: the functions on a plain DuckDB connection."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

import anserdb
from anserdb.engine.errors import BindError, BudgetExceeded, Interrupted
from anserdb.udfs.functions import functions
from tests.support.gate import Gate

ROOT = Path(__file__).parents[2]
TABLE = """CREATE TABLE t AS SELECT i AS id, CASE WHEN i % 5 = 4 THEN NULL ELSE 'body ' || (i % 7) END AS body, i % 3 AS k
           FROM range(40) r(i)"""


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute(TABLE)
        yield con


@pytest.fixture
def anser(con: duckdb.DuckDBPyConnection) -> Iterator[anserdb.Loaded]:
    with anserdb.load(con, store=":memory:", llm_model="scripted", llm_embedding_model="scripted") as loaded:
        yield loaded


QUERIES = {
    "llm_filter('is it good', body)": "BOOLEAN",
    "llm_filter('does {0} go with {1}', body, k)": "BOOLEAN",
    "llm_filter('is it good', body, model := 'scripted', on_error := 'details')": 'STRUCT("value" BOOLEAN, "error" VARCHAR)',
    "llm_classify(body, ['x', 'y'])": "VARCHAR",
    "llm_classify(body, {x: 'an x', y: 'a y'}, multi := true)": "VARCHAR[]",
    "llm_extract(body, {a: 'INTEGER', d: 'DECIMAL(9,2)', due: ['DATE']})": "STRUCT(a INTEGER, d DECIMAL(9,2), due DATE[])",
    "llm_extract(body, 'STRUCT(u UUID)').u": "UUID",
    "llm_complete('say', body)": "VARCHAR",
    "llm_complete('say', body, id, k)": "VARCHAR",
    "llm_complete('count', body, returns := 'HUGEINT')": "HUGEINT",
    "llm_complete('pick', body, returns := 'ENUM(''a'', ''b'')')": "ENUM('a', 'b')",
    "llm_score('how good', body)": "DOUBLE",
    "llm_similarity(body, 'x')": "DOUBLE",
    "llm_embed(body)": "FLOAT[]",
    "ai_complete('say', body)": "VARCHAR",
}


@pytest.mark.parametrize(("call", "type_text"), QUERIES.items(), ids=QUERIES)
def test_calls_have_the_announced_type_and_nulls_are_not_asked(
    con: duckdb.DuckDBPyConnection, anser: anserdb.Loaded, call: str, type_text: str
) -> None:
    relation = con.sql(f"SELECT body, {call} AS x FROM t ORDER BY id")
    rows = relation.fetchall()
    assert str(relation.types[1]) == type_text
    assert [x is None for _, x in rows] == [body is None for body, _ in rows]
    assert sum(site.rows_null for site in anser.progress.sites.values()) == 8


def test_equal_inputs_are_one_call_and_rows_keep_their_places(
    con: duckdb.DuckDBPyConnection, anser: anserdb.Loaded
) -> None:
    rows = con.sql("SELECT body, llm_complete('say', body) AS x FROM t").fetchall()
    (site,) = anser.progress.sites.values()
    assert (site.rows_in, site.calls) == (40, 7)
    by_body: dict[Any, set[Any]] = {}
    for body, answer in rows:
        by_body.setdefault(body, set()).add(answer)
    assert all(len(answers) == 1 for answers in by_body.values())
    assert len({next(iter(answers)) for answers in by_body.values()}) == 8


def test_answers_are_the_ones_an_anserdb_connection_gives(
    con: duckdb.DuckDBPyConnection, anser: anserdb.Loaded
) -> None:
    query = "SELECT id, LLM_CLASSIFY(text, ['x', 'y']) AS c FROM (SELECT id, body AS text FROM t) ORDER BY id"
    with anserdb.connect(store=":memory:", llm_model="scripted") as other:
        other.sql(TABLE)
        assert con.sql(query).fetchall() == other.sql(query).fetchall()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM t WHERE llm_filter('q', body) AND k = 1",
        "SELECT llm_classify(body, ['x', 'y']) AS c, count(*) FROM t GROUP BY c ORDER BY c",
        "SELECT llm_classify(body, ['x', 'y']) AS c, count(*) FROM t GROUP BY ALL ORDER BY ALL",
        "SELECT id FROM t ORDER BY llm_score('how good', body) DESC NULLS LAST, id LIMIT 3",
        "SELECT t.id FROM t JOIN (SELECT 1 AS k) u ON t.k = u.k AND llm_filter('m', t.body, u.k) ORDER BY 1",
        "SELECT k, llm_summarize(body) FROM t GROUP BY k ORDER BY k",
        "SELECT llm_summarize(body, 'list the topics') FROM t HAVING count(*) > 1",
        "SELECT list_transform([body], lambda z: llm_complete('q', z)) FROM t LIMIT 2",
        "CREATE TABLE made AS SELECT id, llm_complete('q', body) AS x FROM t",
        "WITH RECURSIVE r(n, x) AS (SELECT 1, 'a' UNION ALL SELECT n + 1, llm_complete('q', x) FROM r WHERE n < 3) FROM r",
    ],
)
def test_calls_work_wherever_duckdb_takes_a_function(
    con: duckdb.DuckDBPyConnection, anser: anserdb.Loaded, query: str
) -> None:
    assert con.execute(query).fetchall()


def test_a_summary_is_of_its_group(con: duckdb.DuckDBPyConnection) -> None:
    gate = Gate()
    gate.open()
    with anserdb.load(con, store=":memory:") as loaded:
        loaded.register_model("gate", gate.model)
        loaded.settings.assign("llm_model", "gate")
        con.execute("SELECT k, llm_summarize(body) FROM t WHERE id < 6 GROUP BY k").fetchall()
    asked = sorted(request.user for request in gate.model.calls if hasattr(request, "user"))
    assert [sum(f"body {i}" in text for i in range(6)) for text in asked] == [2, 1, 2]


def test_constants_may_vary_by_row(con: duckdb.DuckDBPyConnection, anser: anserdb.Loaded) -> None:
    query = "SELECT id, llm_classify(body, CASE WHEN id % 2 = 0 THEN ['a', 'b'] ELSE ['c', 'd'] END) FROM t ORDER BY id"
    rows = con.sql(query).fetchall()
    assert [row[0] for row in rows] == list(range(40))
    assert all(label is None or label in ("ab" if row % 2 == 0 else "cd") for row, label in rows)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("llm_filter('q', body, model := 'scriptd')", "There is no model scriptd"),
        ("llm_filter('q', body, temperature := 9)", "option temperature takes a number from 0 to 2"),
        ("llm_classify(body, ['one'])", "at least two different"),
        ("llm_filter('{nope} is good', body)", "{nope} is none of the inputs"),
        ("llm_filter('q', body, tempo := 9)", "llm_filter"),
        ("llm_extract(body, {a: 'NOTYPE'})", "NOTYPE"),
        ("llm_embed(body, on_error := 'details')", "on an AnserDB connection only"),
    ],
)
def test_mistakes_are_told_in_our_words(
    con: duckdb.DuckDBPyConnection, anser: anserdb.Loaded, call: str, words: str
) -> None:
    with pytest.raises(duckdb.Error) as caught:
        con.sql(f"SELECT {call} FROM t").fetchall()
    assert words in str(caught.value)
    assert con.sql("SELECT llm_complete('q', body) FROM t LIMIT 1").fetchall()


def test_the_original_error_is_kept(con: duckdb.DuckDBPyConnection, anser: anserdb.Loaded) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="no model nope"):
        con.sql("SELECT llm_filter('q', body, model := 'nope') FROM t").fetchall()
    assert isinstance(anser.error, BindError)
    with pytest.raises(BindError, match="There is no setting llm_modl"):
        anserdb.load(con, store=":memory:", llm_modl="x")


def test_caps_hold_until_reset(con: duckdb.DuckDBPyConnection) -> None:
    with anserdb.load(con, store=":memory:", llm_model="scripted", llm_max_calls=3) as loaded:
        for _ in range(2):
            with pytest.raises(duckdb.InvalidInputException, match="llm_max_calls = 3"):
                con.sql("SELECT llm_complete('q', body) FROM t").fetchall()
        assert isinstance(loaded.error, BudgetExceeded)
        assert sum(loaded.usage().column("calls").to_pylist()) == 3
        loaded.reset()
        with pytest.raises(duckdb.InvalidInputException, match="llm_max_calls = 3"):
            con.sql("SELECT llm_complete('q', body) FROM t").fetchall()
        loaded.reset()
        assert len(con.sql("SELECT llm_complete('q', body) FROM t").fetchall()) == 40
        assert sum(loaded.usage().column("calls").to_pylist()) == 7


def test_failed_rows_are_null_and_in_the_ledger(con: duckdb.DuckDBPyConnection) -> None:
    from anserdb.udfs.models.scripted import ScriptedModel

    failing = ScriptedModel([("body 3", anserdb.ModelError("cannot read this", "flaky"))])
    with anserdb.load(con, store=":memory:", llm_model="flaky") as loaded:
        loaded.register_model("flaky", failing)
        rows = con.sql("SELECT body, llm_complete('q', body) FROM t").fetchall()
        assert {body for body, x in rows if x is None} == {None, "body 3"}
        assert loaded.errors().num_rows == len([1 for body, _ in rows if body == "body 3"])
        assert len(loaded.notices) == 1
        details = con.sql(
            "SELECT llm_complete('q', body, on_error := 'details') FROM t WHERE body = 'body 3'"
        ).fetchall()
        assert details[0][0] == {"value": None, "error": "cannot read this"}


def test_rows_of_a_chunk_are_asked_at_once_and_interrupt_stops_them(con: duckdb.DuckDBPyConnection) -> None:
    gate = Gate()
    with anserdb.load(con, store=":memory:", llm_model="gate") as loaded:
        loaded.register_model("gate", gate.model)
        raised: list[BaseException] = []

        def query() -> None:
            try:
                con.sql("SELECT llm_complete('q', body) FROM t").fetchall()
            except duckdb.Error as error:
                raised.append(error)

        thread = threading.Thread(target=query)
        thread.start()
        gate.wait_for(7)
        assert gate.model.in_flight == 7
        loaded.interrupt()
        thread.join(30)
        assert not thread.is_alive()
        assert len(raised) == 1
        assert isinstance(loaded.error, Interrupted)
        assert gate.model.in_flight == 0
        gate.open()
        assert len(con.sql("SELECT llm_complete('q', body) FROM t").fetchall()) == 40


def test_unload_leaves_nothing_and_load_again_works(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    def ours() -> list[Any]:
        return con.execute("SELECT function_name FROM duckdb_functions() WHERE NOT internal").fetchall()

    store = tmp_path / "answers.anser"
    for calls in (7, 0):
        loaded = anserdb.load(con, store=store, llm_model="scripted")
        names = {name for f in functions().values() for name in (f.sql_name.lower(), *map(str.lower, f.aliases))}
        assert names <= {name for (name,) in ours()}
        con.sql("SELECT llm_complete('say', body) FROM t").fetchall()
        assert sum(site.calls for site in loaded.progress.sites.values()) == calls
        loaded.unload()
        loaded.unload()
        assert ours() == []


def test_two_loads_on_one_connection_and_its_cursor(con: duckdb.DuckDBPyConnection, anser: anserdb.Loaded) -> None:
    cursor = con.cursor()
    with pytest.raises(duckdb.Error, match="llm_complete"):
        cursor.execute("SELECT llm_complete('q', 'x')")
    with anserdb.load(cursor, store=":memory:", llm_model="scripted"):
        assert cursor.execute("SELECT llm_complete('q', 'x')").fetchall()
    assert con.sql("SELECT llm_complete('q', 'x')").fetchall()
    cursor.close()


def test_numbers_keep_their_digits(con: duckdb.DuckDBPyConnection) -> None:
    from anserdb.udfs.models.scripted import ScriptedModel

    answer = (
        '{"h": 170141183460469231731687303715884105727, "d": 12345678901234567.89, "t": "2024-05-01T12:00:00+02:00"}'
    )
    with anserdb.load(con, store=":memory:", llm_model="exact") as loaded:
        loaded.register_model("exact", ScriptedModel([("", answer)]))
        call = "llm_extract(body, {h: 'HUGEINT', d: 'DECIMAL(20,2)', t: 'TIMESTAMPTZ'})"
        ((row,),) = con.sql(f"SELECT {call} FROM t LIMIT 1").fetchall()
        assert (row["h"], row["d"]) == (170141183460469231731687303715884105727, Decimal("12345678901234567.89"))
        assert row["t"].isoformat() == "2024-05-01T10:00:00+00:00"


@pytest.mark.parametrize(
    "end", ["", "loaded.unload()", "con.close()", "del con", "del loaded", "con.close(); loaded.unload()"]
)
def test_a_program_that_ends_says_nothing(end: str) -> None:
    program = f"""
import anserdb, duckdb
con = duckdb.connect()
con.execute("SET enable_progress_bar = false")  # DuckDB's own, after two seconds
loaded = anserdb.load(con, store=":memory:", llm_model="scripted")
rows = con.sql("SELECT llm_complete('q', 'x')").fetchall()
{end}
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
