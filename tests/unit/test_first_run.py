"""Which statements get a first run, of what text, and why the others do not: by their text, and by DuckDB's plan."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

import anserdb
from anserdb.engine.physical.inputs import EnoughError, Inputs
from anserdb.engine.sql.bind import bind
from tests.support.plans import ConnectionCatalog, database
from tests.support.reader import reader_model

CALL = "LLM_COMPLETE('say', {})"


@pytest.fixture(scope="module")
def catalog() -> Iterator[ConnectionCatalog]:
    with database() as connection:
        yield ConnectionCatalog(connection)


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[anserdb.Connection]:
    folder = tmp_path_factory.mktemp("files")
    with (
        duckdb.connect(config={"threads": 1}) as native,
        anserdb.connect(native, store=":memory:", llm_model="m") as con,
    ):
        con.register_model("m", reader_model())
        con.sql("CREATE TABLE t (id INTEGER, a VARCHAR, n INTEGER); CREATE TABLE u (id INTEGER, c VARCHAR)")
        con.sql("INSERT INTO t SELECT i, 'a' || i, i % 3 FROM range(9) r(i); INSERT INTO u SELECT id, a FROM t")
        con.sql(
            "CREATE VIEW tossed AS SELECT random()::VARCHAR AS a; CREATE VIEW lists AS SELECT n, list(a) AS l FROM t GROUP BY n"
        )
        con.sql('CREATE MACRO mine(x) AS x || random(); CREATE MACRO "my own"(x) AS x || now()')
        con.sql(
            'CREATE VIEW "to""ss" AS SELECT now()::VARCHAR AS a; CREATE SCHEMA s; CREATE VIEW s."re-tossed" AS FROM "to""ss"'
        )
        con.sql("CREATE TABLE generated (i INTEGER, a VARCHAR AS (i || random()::VARCHAR))")
        con.sql(f"COPY t TO '{folder}/t.parquet'; COPY t TO '{folder}/t.csv'; SET file_search_path = '{folder}'")
        yield con


def text_of(sql: str, catalog: ConnectionCatalog) -> tuple[str, str]:
    """The first run's text, and why there is none."""
    bound = bind(sql, catalog)
    assert bound is not None
    assert bound.plan.embedded
    return bound.plan.first_run.sql, bound.plan.first_run.refusal


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("VALUES (LLM_COMPLETE('say', 'x'))", "VALUES (F(0))"),
        ("COPY (SELECT [LLM_COMPLETE('s', c) for c in [body]] FROM tickets) TO 'f.csv'", "SELECT [F(c) for c in [body]] FROM tickets"),
        ("INSERT INTO customers (name) VALUES (LLM_COMPLETE('say', 'x')) RETURNING name", "VALUES (F(0))"),
        ("CREATE TEMP TABLE x AS FROM (VALUES (1)) v(i) SELECT [LLM_COMPLETE('s', c) for c in ['a']]",
         "FROM (VALUES (1)) v(i) SELECT [F(c) for c in ['a']]"),
        ("UPDATE tickets AS k SET body = LLM_COMPLETE('s', k.body), year = 1 WHERE year IS DISTINCT FROM 2 RETURNING id",
         "SELECT F(k.body), 1, k.rowid FROM tickets AS k WHERE year IS DISTINCT FROM 2"),
        ("UPDATE tickets SET year = 1 FROM customers c WHERE c.customer_id = id AND LLM_FILTER('x', c.notes)",
         "SELECT 1, tickets.rowid FROM tickets, customers c WHERE c.customer_id = id AND F(c.notes)"),
        ("DELETE FROM tickets USING customers c WHERE id = c.customer_id AND LLM_FILTER('x', c.notes)",
         "SELECT tickets.rowid FROM tickets, customers c WHERE id = c.customer_id AND F(c.notes)"),
    ],
)  # fmt: skip
def test_the_text_of_a_first_run(sql: str, expected: str, catalog: ConnectionCatalog) -> None:
    assert text_of(sql, catalog) == (expected.replace("F(", "__anser___s1("), "")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT list_reduce([body, subject], lambda x, y: LLM_COMPLETE('s', x)) FROM tickets", "LIST_REDUCE feeds its answers back"),
        ("SELECT [LLM_COMPLETE('s', x) for x in list(body)] FROM tickets", "the rows of list may come in another order"),
        ("SELECT [LLM_COMPLETE('s', x) for x in ARRAY(SELECT name FROM customers)] FROM tickets", "the rows of array may come"),
        ("SELECT id, (SELECT LLM_SUMMARIZE(name) FROM customers c WHERE c.customer_id = t.id) FROM tickets t", "an aggregate's rows"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [body]], row_number() OVER () FROM tickets", "a window function"),
        ("SELECT DISTINCT ON (year) [LLM_COMPLETE('s', x) for x in [body]] FROM tickets", "DISTINCT ON"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [body]] FROM tickets USING SAMPLE 3", "a sample"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [COLUMNS(* EXCLUDE id)::VARCHAR]] FROM tickets", "COLUMNS"),
        ("WITH q AS MATERIALIZED (SELECT [LLM_COMPLETE('s', x) for x in [body]] AS l FROM tickets) FROM q a JOIN q b USING (l)",
         "Q is read more than once"),
        ("UPDATE tickets SET body = 'x' RETURNING LLM_COMPLETE('s', body)", "neither in SET nor in WHERE"),
        ("UPDATE tickets SET year = 3 WHERE LLM_FILTER('x', body) OR LLM_FILTER('y', subject)", "the answer of one call may decide"),
        ("MERGE INTO tickets t USING customers c ON t.id = c.customer_id WHEN MATCHED AND LLM_FILTER('x', c.notes) THEN DELETE",
         "no query gives the inputs of this MERGE statement"),
        ("INSERT INTO customers (name) VALUES ('x') RETURNING LLM_COMPLETE('s', name)", "outside the statement's query"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [body]] AS l, [LLM_COMPLETE('t', y) for y in l] FROM tickets", "may decide"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [body]], (SELECT max(LLM_COMPLETE('t', c.name)) FROM customers c WHERE c.customer_id = t.id) "
         "FROM tickets t", "may decide"),
        ("SELECT unnest([LLM_COMPLETE('s', x) for x in [body]]), [LLM_COMPLETE('t', y) for y in [subject]] FROM tickets", "may decide"),
        ("SELECT sum(len([LLM_COMPLETE('s', x) for x in [body]])), max(len([LLM_COMPLETE('t', y) for y in [body]])) AS m FROM tickets "
         "HAVING m > 3", "may decide"),
    ],
)  # fmt: skip
def test_no_first_run_where_it_might_ask_other_things(sql: str, reason: str, catalog: ConnectionCatalog) -> None:
    text, refusal = text_of(sql, catalog)
    assert text == ""
    assert reason in refusal


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT t.id FROM t LEFT JOIN u ON t.id = u.id AND LLM_FILTER('mentions a', u.c)",
        "SELECT t.id FROM t ANTI JOIN u ON t.id = u.id AND LLM_FILTER('mentions a', u.c)",
        "SELECT sum(len([LLM_COMPLETE('s', x) for x in [a]])) FROM t",
        "SELECT [LLM_COMPLETE('s', x) for x in [a]] FROM 't.parquet'",
        "SELECT [LLM_COMPLETE('s', x) for x in [a]] FROM t, range(3)",
        "SELECT id, [LLM_COMPLETE('s', x) for x in [a]] AS l, [LLM_COMPLETE('t', x) for x in [a]] AS m FROM t ORDER BY l, m",
        "UPDATE t SET a = LLM_COMPLETE('s', a) WHERE n = 1",
        "DELETE FROM t USING u WHERE t.id = u.id AND LLM_FILTER('mentions a', u.c)",
        "INSERT INTO u SELECT id, [LLM_COMPLETE('s', x) for x in [a]][1] FROM t",
        "CREATE TABLE v AS SELECT [LLM_COMPLETE('s', x) for x in [a]] AS l FROM t",
    ],
)
def test_duckdb_plans_the_first_run_as_it_plans_the_statement(sql: str, con: anserdb.Connection) -> None:
    assert con.explain(sql).startswith("mode: PREFETCH (a first run finds what is asked")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT [LLM_COMPLETE('s', x) for x in [a]] FROM t LIMIT 3", "DuckDB stops as soon as it has enough rows"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [a]] AS l FROM t ORDER BY l LIMIT 3", "DuckDB stops as soon as it has enough rows"),
        ("SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE len([1 for x in [c] if LLM_FILTER('mentions b', x)]) > 0)", "stops as soon"),
        ("SELECT t.id FROM t SEMI JOIN u ON t.id = u.id AND LLM_FILTER('mentions a', t.a, u.c)", "until one is right"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [a || random()]] FROM t", "random() may give another value"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [a || now()]] FROM t", "now() may give another value"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [a]] FROM t WHERE current_date > DATE '2020-01-01'", "of the session"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [mine(a)]] FROM t", "a function of yours"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [a]] FROM tossed", "random() may give another value"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [\"my own\"(a)]] FROM t", "a function of yours"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [a]] FROM s.\"re-tossed\"", "now() may give another value"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [a]] FROM generated", "random() may give another value"),
        ("SELECT [LLM_COMPLETE('s', x) for x in l] FROM lists", "the rows of a view may come in another order"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [a]] FROM read_csv('t.csv')", "read_csv() may give another value"),
        ("SELECT [LLM_COMPLETE('s', x) for x in [a]] FROM 't.csv'", "DuckDB's plan has READ_CSV"),
        ("WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT [LLM_COMPLETE('s', x) for x in [i]] FROM r",
         "DuckDB's plan has REC_CTE"),
    ],
)  # fmt: skip
def test_duckdb_plan_may_forbid_a_first_run(sql: str, reason: str, con: anserdb.Connection) -> None:
    mode = con.explain(sql).split("\n")[0]
    assert mode.startswith("mode: EMBEDDED (look-up functions inside DuckDB: ")
    assert reason in mode


def test_a_reader_that_gives_its_rows_once_is_read_once(con: anserdb.Connection) -> None:
    rows = pa.table({"a": ["p", "q"]})
    reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
    assert reader is not None
    result = con.sql("SELECT [LLM_COMPLETE('s', x) for x in [a]] AS l FROM reader")
    assert result is not None
    assert result.fetchall() == [(["s(p)"],), (["s(q)"],)]


def test_the_rule_can_be_switched_off(con: anserdb.Connection) -> None:
    sql = "UPDATE t SET a = LLM_COMPLETE('s', a)"
    con.sql("SET llm_disabled_rules = 'prefetch'")
    assert "not asked beforehand: the rule prefetch is off" in con.explain(sql)
    con.sql("RESET llm_disabled_rules")
    assert "PREFETCH" in con.explain(sql)


def test_inputs_are_distinct_and_bounded() -> None:
    found = Inputs(most=2)
    found.note([("a",), None, ("a",), (0.0,)])
    assert list(found) == [("a",), (0.0,)]
    assert found.full
    with pytest.raises(EnoughError):
        found.note([("b",)])
    assert Inputs(most_bytes=10).full is False
