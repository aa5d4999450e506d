"""PEP 249: the public compliance suite (package ``dbapi-compliance``), and what it leaves out."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import anserdb

dbapi20 = pytest.importorskip("dbapi20")


class TestCompliance(dbapi20.DatabaseAPI20Test):  # type: ignore[misc]
    """The suite as published, but for three methods.

    ``test_nextset`` and ``test_setoutputsize`` are abstract: they are for drivers with several result sets per statement,
    and with columns that are fetched in pieces. ``test_non_idempotent_close`` demands an error from a second ``close()``;
    PEP 249 does not, and the standard library's ``sqlite3`` has none either.
    """

    driver = anserdb
    connect_kw_args = {"store": ":memory:", "llm_model": "scripted"}  # noqa: RUF012 (the suite's own way)

    def setUp(self) -> None:
        """Connections are separate in-memory databases: nothing is left from before."""

    def tearDown(self) -> None:
        """Nothing is left behind."""

    def test_nextset(self) -> None:
        """There is one result set."""

    def test_setoutputsize(self) -> None:
        """Columns come whole."""
        with self._connect() as con:
            con.cursor().setoutputsize(1000)

    def test_non_idempotent_close(self) -> None:
        """Closing twice is fine."""
        con = self._connect()
        con.close()
        con.close()


@pytest.fixture
def cursor() -> Iterator[anserdb.Cursor]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con, con.cursor() as cursor:
        cursor.execute("CREATE TABLE t AS SELECT i AS id, 'body ' || i AS body FROM range(5) r(i)")
        yield cursor


@pytest.mark.parametrize(
    ("statement", "count"),
    [
        ("INSERT INTO t VALUES (5, 'x'), (6, 'y')", 2),
        ("INSERT INTO t SELECT id + 10, LLM_COMPLETE('q', body) FROM t WHERE id < 3", 3),
        ("UPDATE t SET body = 'z' WHERE id < 4", 4),
        ("UPDATE t SET body = LLM_COMPLETE('q', body) WHERE id < 2", 2),
        ("DELETE FROM t WHERE id = 0", 1),
        ("DELETE FROM t WHERE id = 100", 0),
        ("CREATE TABLE u AS SELECT LLM_COMPLETE('q', body) AS x FROM t", 5),
        ("CREATE TABLE v (x INTEGER)", -1),
        ("SET threads = 2", -1),
        ("SET llm_max_calls = 7", -1),
        ("BEGIN", -1),
    ],
)
def test_changes_have_a_count_and_no_rows(cursor: anserdb.Cursor, statement: str, count: int) -> None:
    cursor.execute(statement)
    assert cursor.rowcount == count
    assert cursor.description is None
    with pytest.raises(anserdb.InterfaceError, match="no result"):
        cursor.fetchall()


@pytest.mark.parametrize(
    ("statement", "types"),
    [
        ("SELECT id, body FROM t", ["BIGINT", "VARCHAR"]),
        ("SELECT id, LLM_COMPLETE('n', body, returns := 'DECIMAL(9,2)') FROM t", ["BIGINT", "DECIMAL(9,2)"]),
        ("INSERT INTO t VALUES (5, 'x') RETURNING id", ["BIGINT"]),
        ("EXPLAIN SELECT 1", ["VARCHAR", "VARCHAR"]),
        ("SHOW TABLES", ["VARCHAR"]),
        ("PRAGMA database_list", ["BIGINT", "VARCHAR", "VARCHAR"]),
        ("SHOW MODELS", ["VARCHAR", "VARCHAR", "VARCHAR"]),
        ("SELECT name FROM llm_settings()", ["VARCHAR"]),
    ],
)
def test_queries_have_a_description(cursor: anserdb.Cursor, statement: str, types: list[str]) -> None:
    cursor.execute(statement)
    assert cursor.description is not None
    assert [d[1] for d in cursor.description] == types
    assert all(len(d) == 7 and d[2:] == (None,) * 5 for d in cursor.description)
    assert cursor.rowcount == -1
    assert cursor.fetchall()


def test_type_codes(cursor: anserdb.Cursor) -> None:
    cursor.execute("SELECT 'a', 1::HUGEINT, 1.5::DECIMAL(4, 1), now(), 'a'::BLOB, ['a'], 'x'::ENUM('x')")
    assert cursor.description is not None
    codes = [d[1] for d in cursor.description]
    groups = [
        anserdb.STRING,
        anserdb.NUMBER,
        anserdb.NUMBER,
        anserdb.DATETIME,
        anserdb.BINARY,
        "VARCHAR[]",
        anserdb.STRING,
    ]
    assert codes == groups
    assert anserdb.STRING != anserdb.NUMBER
    assert anserdb.ROWID not in codes
    assert len({anserdb.STRING, anserdb.NUMBER, anserdb.STRING}) == 2


def test_fetching(cursor: anserdb.Cursor) -> None:
    for body in ("body", "LLM_COMPLETE('q', body)"):
        cursor.execute(f"SELECT id, {body} FROM t ORDER BY id")
        cursor.arraysize = 1
        assert [row[0] for row in cursor.fetchmany()] == [0]
        cursor.arraysize = 2
        assert [row[0] for row in cursor.fetchmany()] == [1, 2]
        assert [row[0] for row in cursor] == [3, 4]
        assert cursor.fetchone() is None
        assert cursor.fetchmany(3) == []
        assert cursor.fetchall() == []


def test_a_new_statement_replaces_the_result_and_cursors_are_independent(cursor: anserdb.Cursor) -> None:
    other = cursor.connection.cursor()
    cursor.execute("SELECT id, LLM_COMPLETE('q', body) FROM t ORDER BY id")
    other.execute("SELECT id FROM t ORDER BY id DESC")
    assert cursor.fetchone()[0] == 0  # type: ignore[index]
    assert other.fetchone() == (4,)
    assert cursor.fetchone()[0] == 1  # type: ignore[index]
    cursor.execute("SELECT 'new'")
    assert cursor.fetchall() == [("new",)]
    assert other.fetchall() == [(3,), (2,), (1,), (0,)]


def test_plain_cursors_are_open_at_once_and_see_the_data_of_their_time(cursor: anserdb.Cursor) -> None:
    con = cursor.connection
    cursors = [con.execute("SELECT id FROM t ORDER BY id") for _ in range(3)]
    assert [c.fetchone() for c in cursors] == [(0,)] * 3
    cursor.execute("DELETE FROM t")
    assert cursor.rowcount == 5
    assert [c.fetchmany(2) for c in cursors] == [[(1,), (2,)]] * 3
    assert [c.fetchall() for c in cursors] == [[(3,), (4,)]] * 3
    large = con.execute("SELECT i FROM range(300_000) r(i)")
    assert large.fetchone() == (0,)
    assert con.execute("SELECT LLM_COMPLETE('q', 'x') IS NULL").fetchall() == [(False,)]
    assert len(large.fetchall()) == 299_999


def test_a_plain_query_left_unread_does_no_harm(cursor: anserdb.Cursor) -> None:
    con = cursor.connection
    con.execute("CREATE SEQUENCE s")
    con.execute("BEGIN")
    con.execute("INSERT INTO t VALUES (9, 'nine')")
    for query in (
        "SELECT * FROM range(300_000)",
        "SELECT nextval('s') FROM range(300_000)",
        "UPDATE t SET id = id RETURNING id",
    ):
        left = con.execute(query)
        assert left.fetchone() is not None
        left.close()
        con.execute(query).fetchone()
        con.execute(query)
    assert cursor.execute("SELECT count(*) FROM t").fetchall() == [(6,)]
    con.commit()
    endless = con.execute("SELECT a.range FROM range(100_000) a, range(1_000_000) b")
    assert endless.fetchone() == (0,)
    del endless
    assert con.execute("SELECT 1").fetchall() == [(1,)]


def test_a_plain_statement_runs_when_it_is_executed(cursor: anserdb.Cursor) -> None:
    con = cursor.connection
    with pytest.raises(anserdb.DataError, match="Could not convert"):
        con.execute("SELECT CAST(body AS INTEGER) FROM t")
    con.execute("SET streaming_buffer_size = '1KB'")
    bad = con.execute("SELECT CASE WHEN i = 150_000 THEN CAST('bad row' AS BIGINT) ELSE i END FROM range(200_000) r(i)")
    assert bad.fetchone() == (0,)
    assert con.execute("SELECT 1").fetchall() == [(1,)], "the error is not the next statement's"
    with pytest.raises(anserdb.DataError, match="bad row"):
        for _ in range(200_000):
            bad.fetchone()
    cursor.execute("SELECT 1; INSERT INTO t VALUES (7, 'x'); INSERT INTO t SELECT * FROM t WHERE id = 7")
    assert cursor.rowcount == 1
    assert cursor.execute('SELECT count(*) AS "Count" FROM t').fetchall() == [(7,)]
    assert cursor.execute('SELECT true AS "Success"').fetchall() == [(True,)]
    assert cursor.execute("INSERT INTO t VALUES (8, 'y') RETURNING true AS \"Success\"").fetchall() == [(True,)]


def test_closed_things_say_so(cursor: anserdb.Cursor) -> None:
    con = cursor.connection
    closed = con.cursor()
    closed.execute("SELECT 1")
    closed.close()
    closed.close()
    for use in (lambda: closed.execute("SELECT 1"), closed.fetchone, closed.fetchall, lambda: closed.connection):
        with pytest.raises(anserdb.InterfaceError, match="cursor is closed"):
            use()
    cursor.execute("SELECT id FROM t")
    con.close()
    for use in (lambda: cursor.execute("SELECT 1"), cursor.fetchone, con.cursor, con.commit, con.rollback):
        with pytest.raises(anserdb.InterfaceError, match="connection is closed"):
            use()


def test_executemany(cursor: anserdb.Cursor) -> None:
    cursor.executemany("INSERT INTO t VALUES (?, ?)", ((10 + i, f"many {i}") for i in range(3)))
    assert (cursor.rowcount, cursor.description) == (3, None)
    cursor.executemany("UPDATE t SET body = LLM_COMPLETE($what, body) WHERE id = $id", [{"what": "q", "id": 10}] * 2)
    assert cursor.rowcount == 2
    with pytest.raises(anserdb.ProgrammingError, match="executemany"):
        cursor.executemany("SELECT ?", [[1], [2]])
    cursor.executemany("INSERT INTO t VALUES (?, ?)", [])
    assert cursor.rowcount == -1


UTC2 = datetime.timezone(datetime.timedelta(hours=2))
VALUES: list[Any] = [
    None, True, 0, -5, 2**31, 2**63, 2**100, 1.5, float("inf"), float("nan"), 1e-5, "", "x'y", "ünï\n😀", "$1 ?", b"", b"\x00\xff'",
    datetime.date(2024, 2, 29), datetime.time(1, 2, 3, 4), datetime.datetime(2024, 1, 2, 3, 4, 5, 6),
    datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC2), datetime.timedelta(days=3, seconds=5, microseconds=7),
    Decimal("1.10"), Decimal("-12345678901234567890.123"), [1, 2], ["a", "b,c", "d'e", "[x]", "", None], [],
    {"a": 1, "b": ["x'"]}, {"k y": "v, w"}, [[1], [2, None]], [{"a": "x, y"}], [datetime.date(2024, 1, 1)],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_parameters_are_the_same_values_in_semantic_statements(cursor: anserdb.Cursor, value: Any) -> None:
    cursor.execute("SELECT ? AS x", [value])
    plain = (cursor.fetchall(), cursor.description)
    cursor.execute("SELECT ? AS x FROM t WHERE LLM_COMPLETE('q', body) IS NOT NULL LIMIT 1", [value])
    assert repr((cursor.fetchall(), cursor.description)) == repr(plain)


def test_parameters_stand_anywhere(cursor: anserdb.Cursor) -> None:
    cursor.execute(
        "SELECT LLM_CLASSIFY(body, $labels) FROM t WHERE id > $id LIMIT $n",
        {"labels": ["a, b", "c'd"], "id": 1, "n": 2},
    )
    assert {row[0] for row in cursor.fetchall()} <= {"a, b", "c'd"}
    cursor.execute(
        "SELECT id FROM t WHERE LLM_FILTER($1, body, model := $2) IS NOT NULL ORDER BY id LIMIT $3",
        ["it's?", "scripted", 2],
    )
    assert cursor.fetchall() == [(0,), (1,)]
    cursor.execute(
        "SELECT id, '?' FROM t WHERE LLM_FILTER('?', body) IS NOT NULL ORDER BY id -- ?\n LIMIT ? OFFSET ?", (2, 1)
    )
    assert cursor.fetchall() == [(1, "?"), (2, "?")]


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("SELECT LLM_COMPLETE('q', ?)", []),
        ("SELECT LLM_COMPLETE('q', ?)", ["a", "b"]),
        ("SELECT LLM_COMPLETE('q', $a)", {"b": 1}),
        ("SELECT LLM_COMPLETE('q', ?)", "text"),
        ("SELECT ?", []),
        ("SELECT ?", [1, 2]),
        ("SELECT ?", "text"),
    ],
)
def test_wrong_parameters_are_the_programmers_error(cursor: anserdb.Cursor, statement: str, parameters: Any) -> None:
    with pytest.raises(anserdb.ProgrammingError):
        cursor.execute(statement, parameters).fetchall()


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELEC 1", anserdb.ParseError),
        ("SELECT * FROM nowhere", anserdb.ProgrammingError),
        ("SELECT nothing FROM t", anserdb.ProgrammingError),
        ("SELECT LLM_FILTER('q', nothing) FROM t", anserdb.ProgrammingError),
        ("SELECT LLM_COMPLETE('q', body, modl := 'x') FROM t", anserdb.BindError),
        ("INSERT INTO u VALUES (1), (1)", anserdb.IntegrityError),
        ("SELECT 'x'::INTEGER", anserdb.DataError),
        ("SELECT 2147483647::INTEGER + 1::INTEGER", anserdb.DataError),
        ("SELECT * FROM read_csv('/nowhere.csv')", anserdb.OperationalError),
    ],
)
def test_errors_are_of_their_kind(cursor: anserdb.Cursor, statement: str, kind: type[Exception]) -> None:
    cursor.execute("CREATE TABLE u (x INTEGER PRIMARY KEY)")
    with pytest.raises(kind):
        cursor.execute(statement).fetchall()
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]
