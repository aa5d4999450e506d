"""What a model may write as an expression, what is refused, and that nothing comes of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.physical.expression_check import MOST_CHARS, ExpressionError, checked
from anserdb.engine.physical.expression_sandbox import ROW_CHARS, Sandbox, identifiers
from anserdb.engine.types import SqlType, parse_type

NAMES, TYPES = ("body", "stars", "day"), tuple(map(parse_type, ("VARCHAR", "INTEGER", "DATE")))
ROW = ("Please refund order 4711, total 24.90 EUR", 4, __import__("datetime").date(2026, 11, 23))

HOSTILE = [
    # other tables, files, the network
    "(SELECT 1)",
    "EXISTS (SELECT 1)",
    "body IN (SELECT 'a')",
    "stars = ANY (SELECT 1)",
    "(SELECT content FROM read_text('/etc/passwd'))",
    "1 FROM read_csv('/etc/passwd')",
    "1) FROM read_csv('/etc/passwd') --",
    "1) FROM 'data.parquet' WHERE (1=1",
    "1), (SELECT 1",
    "1; DROP TABLE t",
    "1) UNION ALL SELECT (2",
    "1); COPY (SELECT 1) TO '/tmp/x'; SELECT (1",
    "1) LIMIT (SELECT 1",
    "read_text('/etc/passwd')",
    "getenv('HOME')",
    "current_setting('enable_external_access')",
    "set_config('x', 'y')",
    "getvariable('x')",
    "nextval('s')",
    "query('SELECT 1')",
    # not the same each time, of the session, or with an effect
    "random()",
    "uuid()",
    "now()",
    "current_date",
    "current_user",
    "pg_sleep(10)",
    "write_log('x')",
    "error('x')",
    # much of little
    "repeat(body, 1000000000)",
    "lpad(body, 1000000000, 'x')",
    "format('{:1000000000d}', stars)",
    "printf('%1000000000d', stars)",
    "range(1000000000)",
    "list_value(1, 2)",
    "generate_series(1, 1000000000)",
    "replace(body, 'a', 'aaaaaaaaaaaaaaaaaaaa')",
    "replace(body, 'a', body)",
    "replace(replace(replace(replace(replace(body, 'a', 'aa'), 'a', 'aa'), 'a', 'aa'), 'a', 'aa'), 'a', 'aa')",
    "regexp_replace(body, '.', 'xxxxxxxxxx', 'g')",
    "bar(stars, 0, 1, 1000000)",
    "levenshtein(body, body)",
    # patterns that take long, or that a row brings
    "regexp_matches(body, body)",
    "regexp_matches(body, '(a{60}){60}')",
    "body LIKE body",
    "body LIKE '%a%a%a%a%a%a%b'",
    "body ILIKE '_%_%_%_%_%'",
    "body SIMILAR TO '(a{60}){60}'",
    "body GLOB '*a*'",
    # other kinds of expressions
    "*",
    "COLUMNS(*)",
    "COLUMNS('.*')",
    "body.x.y",
    "memory.main.t.body",
    "pg_catalog.lower(body)",
    "system.main.lower(body)",
    "other",
    "rowid",
    "?",
    "$1",
    "#1",
    "x -> x",
    "list_transform([1], lambda x: x)",
    "[x FOR x IN [1]]",
    "sum(stars)",
    "count(*)",
    "row_number() OVER ()",
    "lower(body) OVER ()",
    "lower(DISTINCT body)",
    "sum(stars) FILTER (stars > 1)",
    "max(body ORDER BY body)",
    "body COLLATE nocase = 'a'",
    "CAST(body AS JSON)",
    "CAST(body AS STRUCT(a INTEGER))",
    "CAST(body AS ENUM('a'))",
    "DEFAULT",
    "unnest([1])",
    # no expression at all
    "",
    "   ",
    ";",
    "I am sorry, I cannot do that.",
    "body = 'a' AND",
    "-- a comment",
    "/* a comment",
    "body = 'a\x1b[2J'",
    "body = 'a\x00b'",
    "'" + "x" * 5000 + "'",
    "NOT " * 900 + "TRUE",
    "-" * 3000 + "1",
]

HONEST: list[tuple[str, str, Any]] = [
    ("contains(lower(body), 'refund')", "BOOLEAN", True),
    ("body ILIKE '%REFUND%'", "BOOLEAN", True),
    ("body NOT LIKE '%thanks%'", "BOOLEAN", True),
    ("regexp_matches(body, '\\brefund(ed)?\\b', 'i')", "BOOLEAN", True),
    ("regexp_matches(lower(body), 'refund|money back') AND NOT contains(body, 'thanks')", "BOOLEAN", True),
    ("CASE WHEN stars >= 4 THEN TRUE WHEN stars <= 2 THEN FALSE END", "BOOLEAN", True),
    ("stars BETWEEN 1 AND 3", "BOOLEAN", False),
    ("stars IN (3, 4, 5)", "BOOLEAN", True),
    ("body IS NOT NULL AND length(body) > 10", "BOOLEAN", True),
    ("stars > 4 OR NULL", "BOOLEAN", None),
    ("starts_with(body, 'Please') -- a comment", "BOOLEAN", True),
    ("year(day) = 2026 AND day > DATE '2026-01-01'", "BOOLEAN", True),
    ("CASE WHEN contains(body, 'refund') THEN 'complaint' ELSE 'praise' END", "VARCHAR", "complaint"),
    ("split_part(body, ' ', 2)", "VARCHAR", "refund"),
    ("regexp_extract(body, 'order ([0-9]+)', 1)", "VARCHAR", "4711"),
    ("upper(left(trim(body), 6)) || '!'", "VARCHAR", "PLEASE!"),
    ("substring(body FROM 8 FOR 6)", "VARCHAR", "refund"),
    ("replace(split_part(body, ',', 1), 'order ', '')", "VARCHAR", "Please refund 4711"),
    ("replace(replace(replace(replace(right(body, 9), '.', ''), 'E', ''), 'U', ''), 'R', '$')", "VARCHAR", "2490 $"),
    ("CAST(regexp_extract(body, 'order ([0-9]+)', 1) AS INTEGER)", "INTEGER", 4711),
    ("TRY_CAST(body AS INTEGER)", "INTEGER", None),
    ("CAST(body AS INTEGER)", "INTEGER", None),  # it fails on this row: it does not know
    ("stars * 2 + 1", "INTEGER", 9),
    ("nullif(coalesce(stars, 0), 4)", "INTEGER", None),
    ("round(stars / 2)", "INTEGER", 2),
    ("position('refund' IN body)", "INTEGER", 8),
    ("day", "DATE", ROW[2]),
    (
        "{'amount': CAST(regexp_extract(body, 'total ([0-9.]+)', 1) AS DOUBLE), 'currency': right(body, 3)}",
        "STRUCT(amount INTEGER, currency VARCHAR)",
        {"amount": 25, "currency": "EUR"},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(NAMES, TYPES, parse_type("BOOLEAN"))
    yield made
    made.close()


def opened(answer: str) -> Sandbox:
    return Sandbox(NAMES, TYPES, parse_type(answer))


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_allowed_is_refused(sandbox: Sandbox, text: str) -> None:
    with pytest.raises(ExpressionError):
        sandbox.take(text)


@pytest.mark.parametrize(("text", "answer", "expected"), HONEST)
def test_honest_expressions_run(text: str, answer: str, expected: Any) -> None:
    sandbox = opened(answer)
    printed = sandbox.take(text)
    assert sandbox.answers([ROW]) == [expected]
    assert sandbox.take(printed) == printed
    sandbox.close()


@pytest.mark.parametrize(
    ("text", "answer"), [("stars", "BOOLEAN"), ("body", "INTEGER"), ("NULL", "BOOLEAN"), ("body = 'a'", "VARCHAR")]
)
def test_another_type_is_refused(text: str, answer: str) -> None:
    sandbox = opened(answer)
    with pytest.raises(ExpressionError, match="type"):
        sandbox.take(text)
    sandbox.close()


def test_a_refused_expression_leaves_the_one_before(sandbox: Sandbox) -> None:
    sandbox.take("stars > 3")
    with pytest.raises(ExpressionError):
        sandbox.take("random() > 0.5")
    assert sandbox.answers([ROW]) == [True]


def test_rows_that_are_too_long_are_not_looked_at(sandbox: Sandbox) -> None:
    sandbox.take("contains(body, 'x')")
    rows = [("x", 1, None), ("x" * (ROW_CHARS + 1), 1, None), ("y", 1, None)]
    assert sandbox.answers(rows) == [True, None, False]


def test_rows_that_do_not_fit_are_not_known(sandbox: Sandbox) -> None:
    sandbox.take("stars > 3")
    assert sandbox.answers([("x", "many", None)]) == [None]
    assert sandbox.answers([("\ud800", 4, None)]) == [None]
    assert sandbox.answers([ROW]) == [True]


def test_many_rows_keep_their_places(sandbox: Sandbox) -> None:
    sandbox.take("CASE WHEN stars % 3 <> 0 THEN stars % 3 = 1 END")
    rows = [("a" * (place % 4000), place, None) for place in range(1000)]
    assert sandbox.answers(rows) == [None if place % 3 == 0 else place % 3 == 1 for place in range(1000)]


def test_a_stopped_sandbox_knows_nothing() -> None:
    sandbox = opened("BOOLEAN")
    sandbox.take("stars > 3")
    sandbox.interrupt()
    assert sandbox.answers([ROW]) == [None]
    sandbox.close()


def test_the_sandbox_itself_has_no_way_out(tmp_path: Path) -> None:
    """Were the lists wrong, DuckDB would still refuse."""
    sandbox = opened("BOOLEAN")
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    connection = sandbox._connection
    for sql in (
        f"FROM read_csv('{secret}')",
        f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
        f"ATTACH '{tmp_path / 'x.db'}'",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
        "FROM secret",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(sql).fetchall()
    assert not (tmp_path / "out.csv").exists()
    sandbox.close()


PARTS = [
    "body", "stars", "lower(", "regexp_matches(", "(", ")", ",", "'a'", "'%a%'", " AND ", " OR NOT ", " = ", "1", "SELECT ", " FROM ", "--", "/*",
    "*/", ";", "'", "*", " LIKE ", " IN ", "read_text(", "CASE WHEN ", " THEN ", " END", "::", "INTEGER", "[1]", ".", "$1", "\n", " ",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=9).map("".join))
def test_whatever_is_written_is_refused_or_is_an_expression_over_the_inputs(text: str) -> None:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        try:
            printed = checked(text, NAMES, connection)
        except ExpressionError:
            return
        assert checked(printed, NAMES, connection) == printed
        words = printed.lower()
        assert not any(word in words for word in ("select", " from ", "read_text", "--", "/*", ";", "$"))
        connection.execute("CREATE TABLE rows (body VARCHAR, stars INTEGER, day DATE)")
        try:
            described = connection.execute(f"DESCRIBE SELECT {printed} FROM rows").fetchall()
        except duckdb.Error:
            return  # it does not bind
        assert len(described) == 1


def test_names_are_plain_and_distinct() -> None:
    texts = ("t.body", '"Full Title"', "lower(x)", "order", "Body", "3 + 4", "table")
    names = identifiers(texts)
    assert len(set(names)) == len(texts)
    types = (SqlType("VARCHAR", "varchar"),) * len(names)
    sandbox = Sandbox(names, types, parse_type("BOOLEAN"))
    sandbox.take(" AND ".join(f"{name} = 'a'" for name in names))
    assert sandbox.answers([["a"] * len(names)]) == [True]
    sandbox.close()


def test_long_texts_are_refused_before_they_are_parsed(sandbox: Sandbox) -> None:
    with pytest.raises(ExpressionError, match="characters"):
        sandbox.take("(" * (MOST_CHARS + 1))
