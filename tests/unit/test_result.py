"""Results: every way out, exact types, streaming, several open at once, dropped half-read."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import anserdb
from anserdb.engine.dataflow import loop
from tests.support.gate import PATIENCE_S, Gate

SHOUT = "LLM_COMPLETE('shout', body)"
TABLE = """CREATE TABLE t AS SELECT i AS id, 'body ' || i AS body, i % 3 AS k FROM range({rows}) r(i)"""
TYPED = """CREATE TABLE typed AS SELECT 'x' || i AS body, '101'::BIT AS bit, INTERVAL 1 MONTH AS itv, '\\xAA\\x00'::BLOB AS blob,
    TIMESTAMPTZ '2024-05-01 12:00:00+00' AS tz, 170141183460469231731687303715884105727::HUGEINT AS h,
    340282366920938463463374607431768211455::UHUGEINT AS uh, TIMETZ '12:00:00+02' AS ttz,
    '2ae9e1d2-0000-4000-8000-000000000000'::UUID AS u, {'a': 5::HUGEINT, 'b': ['11'::BIT]} AS st,
    MAP {'2ae9e1d2-0000-4000-8000-000000000000'::UUID: 1::HUGEINT} AS m, 'hap''py'::mood AS e, 1.50::DECIMAL(9, 2) AS d,
    1234567890123456789012345678.12::DECIMAL(38, 2) AS big, [1, 2, 3]::INT[3] AS arr, '{"a": 1}'::JSON AS j,
    12345678901234567890123456789012345678901234567890::BIGNUM AS bn, '2020-01-01 00:00:00.123456789'::TIMESTAMP_NS AS ns,
    TIME '12:00:01' AS tm, DATE '2020-02-29' AS dt, 'infinity'::DATE AS far, 'NaN'::DOUBLE AS nan, [[1, NULL], NULL] AS nest,
    NULL AS nothing, 42::VARIANT AS v, 1.5::FLOAT AS f, [NULL, '2ae9e1d2-0000-4000-8000-000000000000']::UUID[] AS us,
    true AS flag, 200::UTINYINT AS small FROM range(3) r(i)"""


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql(TABLE.format(rows=10))
        yield con


def tasks_left() -> int:
    """Tasks on the shared loop, once everything that may run has run."""

    async def count() -> int:
        import asyncio

        return len(asyncio.all_tasks()) - 1

    return loop.submit(count()).result(PATIENCE_S)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    waited = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("it never happened")


def gated(rows: int, held: str = "", **settings: Any) -> tuple[anserdb.Connection, Gate]:
    gate = Gate(held)
    con = anserdb.connect(store=":memory:", llm_model="gate", **settings)
    con.register_model("gate", gate.model)
    con.sql(TABLE.format(rows=rows))
    return con, gate


@pytest.mark.parametrize("expression", ["upper(body)", SHOUT])
def test_every_way_out_gives_the_same_rows(con: anserdb.Connection, expression: str) -> None:
    def run() -> Any:
        return con.sql(f"SELECT id, {expression} AS x FROM t WHERE k = 1 ORDER BY id")

    rows = run().fetchall()
    assert [r[0] for r in rows] == [1, 4, 7]
    assert run().columns == ["id", "x"]
    assert run().types == ["BIGINT", "VARCHAR"]
    assert [tuple(r.values()) for r in run().arrow().to_pylist()] == rows
    assert list(run().df().itertuples(index=False, name=None)) == rows
    assert run().pl().rows() == rows
    assert [tuple(r.values()) for b in run().batches() for r in b.to_pylist()] == rows
    one = run()
    assert [one.fetchone(), one.fetchmany(5), one.fetchone(), one.fetchall()] == [rows[0], rows[1:], None, []]
    assert "id" in run().explain() or "scan" in run().explain().lower()


def test_all_rows_are_kept_for_the_second_look(con: anserdb.Connection, capsys: pytest.CaptureFixture[str]) -> None:
    result = con.sql(f"SELECT id, {SHOUT} AS x FROM t ORDER BY id LIMIT 2")
    assert result is not None
    result.show()
    result.show()
    assert capsys.readouterr().out.count("varchar") == 2
    assert result.arrow().num_rows == 2
    assert len(result.fetchall()) == 2
    assert result.fetchall() == []
    assert sum(b.num_rows for b in result.batches()) == 2


def test_what_streamed_cannot_be_had_again(con: anserdb.Connection) -> None:
    result = con.sql(f"SELECT {SHOUT} FROM t")
    assert result is not None
    result.fetchone()
    with pytest.raises(anserdb.NotSupportedError, match="run the query again"):
        result.arrow()
    assert len(result.fetchall()) == 9


def test_nothing_runs_before_the_first_row() -> None:
    con, gate = gated(3)
    with con:
        result = con.sql(f"SELECT {SHOUT} FROM t")
        assert result is not None
        assert (result.columns, result.types, gate.count) == (["llm_complete"], ["VARCHAR"], 0)


def test_rows_arrive_while_others_are_still_asked() -> None:
    con, gate = gated(400, held="body 399")
    with con:
        result = con.sql(f"SELECT id, {SHOUT} FROM t")
        assert result is not None
        assert result.fetchone() == (0, "BODY 0")
        assert gate.model.in_flight >= 0
        gate.open()
        assert len(result.fetchall()) == 399


@pytest.mark.parametrize(
    "query",
    [
        "SELECT {c} FROM typed WHERE LLM_FILTER('q', body) IS NOT NULL",
        "SELECT {c} FROM (SELECT {c}, LLM_COMPLETE('q', body) AS x FROM typed) WHERE x IS NOT NULL",
        "WITH a AS (SELECT {c}, body, LLM_COMPLETE('q', body) AS x FROM typed) SELECT a.{c} FROM a JOIN typed b USING (body)",
        "SELECT {c} FROM typed WHERE list_transform([body], lambda z: LLM_COMPLETE('q', z)) IS NOT NULL",
        "SELECT {c} FROM typed WHERE LLM_COMPLETE('q', body) <> {c}::VARCHAR OR {c} IS NULL",
    ],
)
def test_types_and_values_pass_semantic_queries_unchanged(query: str) -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("SET TimeZone = 'Asia/Tokyo'")
        con.sql("CREATE TYPE mood AS ENUM ('sad', 'hap''py')")
        con.sql(TYPED)
        for column, _ in con.table_columns("typed"):
            plain, ours = con.sql(f"SELECT {column} FROM typed"), con.sql(query.format(c=column))
            assert plain is not None
            assert ours is not None
            assert ours.types == plain.types
            assert repr(ours.fetchall()) == repr(plain.fetchall()), column
            again = con.sql(query.format(c=column))
            assert again is not None
            assert again.arrow().schema == plain.arrow().schema


def test_several_results_are_open_at_once(con: anserdb.Connection) -> None:
    queries = [
        f"SELECT id, {SHOUT} AS x FROM t ORDER BY id",
        "SELECT id, body FROM t ORDER BY id",
        "SELECT id, upper(body) FROM t WHERE id IN (SELECT id FROM t) AND LLM_FILTER('x', body) IS NOT NULL ORDER BY id",
        "SELECT id, list_transform([body], lambda z: LLM_COMPLETE('a', z)) FROM t ORDER BY id",
        "SELECT id, list_transform([body], lambda z: LLM_COMPLETE('b', z)) FROM t ORDER BY id",
        f"WITH a AS (SELECT id, {SHOUT} AS x FROM t) SELECT t.id, x FROM t JOIN a USING (id) ORDER BY t.id",
    ]
    expected = [con.sql(q).fetchall() for q in queries]  # type: ignore[union-attr]
    results: list[Any] = [con.sql(q) for q in queries]
    got: list[list[Any]] = [[] for _ in queries]
    for _ in range(10):
        for rows, result in zip(got, results, strict=True):
            rows.append(result.fetchone())
            con.sql("CREATE OR REPLACE TABLE other AS SELECT 1")
    assert got == expected
    assert [r.fetchone() for r in results] == [None] * len(queries)


def test_a_large_plain_result_streams_and_survives_other_statements(con: anserdb.Connection) -> None:
    result = con.sql("SELECT i, i::HUGEINT AS h FROM range(200_000) r(i)")
    assert result is not None
    assert result.fetchmany(3) == [(0, 0), (1, 1), (2, 2)]
    con.sql("CREATE TABLE u AS SELECT 1 AS one")
    assert result.fetchone() == (3, 3)
    assert len(result.fetchall()) == 200_000 - 4
    batches = con.sql("FROM range(200_000)")
    assert batches is not None
    stream = batches.batches()
    first = next(stream)
    assert con.sql("SELECT count(*) FROM u").fetchall() == [(1,)]  # type: ignore[union-attr]
    assert first.num_rows + sum(b.num_rows for b in stream) == 200_000


def test_a_plain_result_dropped_half_read_is_not_read_to_its_end(con: anserdb.Connection) -> None:
    endless = con.sql("SELECT count(*) OVER (ROWS 1 PRECEDING) FROM range(100) a, range(1_000_000_000) b")
    assert endless is not None
    cross = con.sql("SELECT a.range FROM range(100_000) a, range(1_000_000) b")
    assert cross is not None
    assert cross.fetchone() == (0,)
    del cross
    assert con.sql("SELECT 1").fetchall() == [(1,)]  # type: ignore[union-attr]


def test_a_result_dropped_half_read_stops_its_query() -> None:
    con, gate = gated(4_000, held="body 1000")
    with con:
        result = con.sql(f"SELECT id, {SHOUT} FROM t")
        assert result is not None
        assert result.fetchone() == (0, "BODY 0")
        del result
        eventually(lambda: tasks_left() == 0)
        assert gate.model.in_flight == 0
        assert gate.count < 4_000
        gc.collect()
        assert con.sql("SELECT count(*) FROM t").fetchall() == [(4_000,)]  # type: ignore[union-attr]


def test_closing_the_batches_stops_the_query() -> None:
    con, gate = gated(4_000, held="body 1000")
    with con:
        result = con.sql(f"SELECT id, {SHOUT} FROM t")
        assert result is not None
        batches = result.batches()
        assert next(batches).num_rows
        batches.close()  # type: ignore[attr-defined]
        assert gate.model.in_flight == 0
        assert tasks_left() == 0
        with pytest.raises(anserdb.InterfaceError, match="closed"):
            result.fetchall()


def test_a_closed_result_says_so(con: anserdb.Connection) -> None:
    result = con.sql(f"SELECT {SHOUT} FROM t")
    assert result is not None
    result.fetchone()
    result.close()
    result.close()
    with pytest.raises(anserdb.InterfaceError, match="result is closed"):
        for _ in range(20):
            result.fetchone()


def test_an_error_is_raised_again_and_never_looks_like_the_end(con: anserdb.Connection) -> None:
    result = con.sql("SELECT LLM_COMPLETE('x', body) AS x, CAST(body AS INTEGER) AS n FROM t")
    assert result is not None
    for _ in range(2):
        with pytest.raises(anserdb.DataError, match="Could not convert"):
            result.fetchall()


def test_a_query_that_fails_leaves_the_connection_usable(con: anserdb.Connection) -> None:
    con.sql("SET llm_max_calls = 2")
    result = con.sql(f"SELECT {SHOUT} FROM t")
    assert result is not None
    with pytest.raises(anserdb.BudgetExceeded) as caught:
        result.fetchall()
    assert (caught.value.limit, caught.value.setting) == (2, "llm_max_calls")
    assert con.sql("SELECT count(*) FROM t").fetchall() == [(10,)]  # type: ignore[union-attr]
    con.sql("RESET llm_max_calls")
    assert len(con.sql(f"SELECT {SHOUT} FROM t").fetchall()) == 10  # type: ignore[union-attr]


def test_an_error_in_an_unread_result_is_not_the_next_statements(con: anserdb.Connection) -> None:
    con.sql("SET streaming_buffer_size = '1KB'")
    bad = con.sql("SELECT CASE WHEN i = 150_000 THEN CAST('bad row' AS BIGINT) ELSE i END FROM range(200_000) r(i)")
    assert bad is not None
    assert bad.fetchone() == (0,)
    assert con.sql("SELECT 1").fetchall() == [(1,)]  # type: ignore[union-attr]
    with pytest.raises(anserdb.Error, match="bad row"):
        bad.fetchall()


@pytest.mark.parametrize(
    "where", ["", "WHERE LLM_COMPLETE('q', body) IS NOT NULL", "WHERE LLM_FILTER('q', body) OR true"]
)
@pytest.mark.parametrize("read", ["fetchall", "arrow", "df", "batches"])
def test_an_error_on_the_way_has_its_class_however_it_is_read(where: str, read: str) -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql(TABLE.format(rows=30))
        con.sql("SET streaming_buffer_size = '1KB'")
        result = con.sql(f"SELECT id, CASE WHEN id = 29 THEN CAST(body AS INTEGER) END AS n FROM t {where}")
        assert result is not None
        with pytest.raises(anserdb.DataError, match="Could not convert string 'body 29'"):
            list(getattr(result, read)())


def test_changes_run_at_once_and_count(con: anserdb.Connection) -> None:
    result = con.sql(f"CREATE TABLE r AS SELECT id, {SHOUT} AS x FROM t")
    assert result is not None
    assert result.fetchall() == [(10,)]
    assert result.progress is not None
    assert result.progress.calls == 10
    inserted = con.sql("INSERT INTO r SELECT id, body FROM t RETURNING id")
    assert inserted is not None
    assert len(inserted.fetchall()) == 10
    assert con.sql("SELECT count(*) FROM r").fetchall() == [(20,)]  # type: ignore[union-attr]


def test_notices_and_progress_belong_to_the_run() -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql(TABLE.format(rows=4))
        con.register_model("bad", anserdb_failing())
        result = con.sql("SELECT LLM_COMPLETE('x', body, model := 'bad') AS x FROM t")
        assert result is not None
        assert result.fetchall() == [(None,)] * 4
        assert len(result.notices) == 1
        assert result.progress is not None
        assert [site.failed for site in result.progress.sites.values()] == [4]
        assert con.sql("SELECT count(*) FROM llm_errors()").fetchall() == [(4,)]  # type: ignore[union-attr]


def anserdb_failing() -> Any:
    from anserdb.udfs.models.scripted import ScriptedModel

    return ScriptedModel([("", anserdb.ModelError("no answer for this one", "bad"))])


def test_a_result_reads_the_session_of_a_passed_in_connection() -> None:
    native = duckdb.connect()
    native.execute("CREATE TEMP TABLE tt AS SELECT 1 AS id, 'a' AS body")
    native.register("shown", pa.table({"body": ["b"]}))
    native.execute("BEGIN")
    native.execute("INSERT INTO tt VALUES (2, 'c')")
    with anserdb.connect(native, store=":memory:", llm_model="scripted") as con:
        for query, count in {"FROM tt": 2, "FROM shown": 1}.items():
            assert len(con.sql(f"SELECT {SHOUT} {query}").fetchall()) == count  # type: ignore[union-attr]
        con.rollback()
        assert con.sql(f"SELECT id, {SHOUT} AS x FROM tt").arrow().num_rows == 1  # type: ignore[union-attr]
    assert native.execute("SELECT count(*) FROM tt").fetchall() == [(1,)]
    assert native.execute(
        "SELECT count(*) FROM duckdb_views() WHERE view_name LIKE '\\_\\_%' ESCAPE '\\'"
    ).fetchall() == [(0,)]
    native.close()


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT count(*) FROM (SELECT {SHOUT} AS x FROM t) WHERE x <> ''",
        f"CREATE TABLE made AS SELECT {SHOUT} AS x FROM t",
        f"SELECT {SHOUT} AS x, count(*) FROM t GROUP BY x",
        "SELECT count(*) FROM t WHERE LLM_FILTER('is it loud', body)",
        f"SELECT t.id FROM t LEFT JOIN t u ON t.id = u.id AND {SHOUT.replace('body', 'u.body')} <> ''",
    ],
)
def test_an_interrupt_is_heard_while_inputs_are_gathered(query: str) -> None:
    con, gate = gated(20, llm_concurrency=4)
    with con:
        raised: list[BaseException] = []

        def read() -> None:
            try:
                result = con.sql(query)
                if result is not None:
                    result.fetchall()
            except BaseException as error:
                raised.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        gate.wait_for(1)
        for _ in range(int(PATIENCE_S)):
            con.interrupt()
            reader.join(1.0)
            if not reader.is_alive():
                break
        assert not reader.is_alive(), "nobody heard it"
        assert [type(error) for error in raised] == [anserdb.Interrupted]


def test_print_shows_rows_and_repr_asks_nobody(con: anserdb.Connection) -> None:
    result = con.sql(f"SELECT id, {SHOUT} AS x FROM t ORDER BY id LIMIT 2")
    assert result is not None
    assert result.progress is not None
    assert repr(result) == "<SemanticResult id, x: not read yet; show() or print() runs it>"
    assert "actual" not in result.explain()
    assert result.progress.calls == 0
    assert "│  id   │" in str(result)
    assert repr(result) == str(result)
    assert "actual: rows=" in result.explain()
    assert "│     1 │" in repr(con.sql("SELECT 1 AS a"))
