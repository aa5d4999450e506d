"""What the text of a fragment allows. DuckDB is asked whether the cautious answers were right."""

from __future__ import annotations

import duckdb
import pytest

from anserdb.engine.plan.nodes import Expr
from anserdb.optimizer.expressions import may_fail, movable

TYPES = {
    "__c1": "INTEGER",
    "__c2": "VARCHAR",
    "__c3": "DECIMAL(9,2)",
    "__c4": "HUGEINT",
    "__c5": "DATE",
    "__c6": "TIMESTAMP",
}


def expr(sql: str) -> Expr:
    return Expr(sql, frozenset(name for name in TYPES if name in sql), sql)


@pytest.mark.parametrize(
    "sql",
    [
        "__c2 LIKE '%random()%'",
        "__c1 > 3 /* random() */",
        "lower(__c2) IN ('a', 'b')",
        "__c2::DECIMAL(9, 2) > 1",
        "CASE WHEN (__c1 > 3) THEN true END",
        "COALESCE(__c2, IFNULL(__c2, 'x'))",
        "__c5 < current_date AND now() > __c6",
        "regexp_matches(__c2, 'x') AND nullif(__c2, '') IS NOT NULL",
        "__c1 IN (SELECT max(id) FROM t GROUP BY x)",
    ],
)
def test_movable(sql: str) -> None:
    assert movable(expr(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "random() < 0.5",
        "RANDOM () < 0.5",
        'main."random"() < 0.5',
        "__c2.my_macro()",
        "my_udf(__c1)",
        "nextval('s') > 3",
        "uuid() <> __c2",
        "row_number() OVER () > 2",
        "sum(__c1) OVER () > 2",
        "__c1 > ?",
        "unnest([1, 2]) = __c1",
        "assert_true(__c1 > 3)",
        "'unfinished",
        "",
    ],
)
def test_not_movable(sql: str) -> None:
    assert not movable(expr(sql))


def test_every_function_that_duckdb_calls_volatile_is_pinned() -> None:
    with duckdb.connect() as connection:
        query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
        names = [name for (name,) in connection.execute(query).fetchall()]
    assert "random" in names
    assert [name for name in names if movable(expr(f"{name}() = __c1"))] == []


TOTAL = [
    "__c2 = 'x'",
    "__c1 > 3 AND __c2 <> 'x' OR NOT __c1 IS NULL",
    "__c1 BETWEEN 1 AND 2",
    "length(__c2) > 10 AND lower(__c2) LIKE '%a%'",
    "coalesce(__c2, 'x') = 'x'",
    "'Title: ' || __c2",
    "concat(__c2, ' ', __c1)",
    "__c3 > 9.5",
    "__c1 IN (1, 2, 3)",
    "__c1 IN (SELECT id FROM t WHERE x = 'a')",
    "EXISTS (SELECT id FROM t)",
]
MAY_FAIL = [
    "__c2::INTEGER > 3",
    "CAST(__c2 AS INTEGER) > 3",
    "__c1 + 1 > 3",
    "100 / __c1 > 3",
    "error(__c2)",
    "__c5 < __c6",
    "__c4 > 0.5",
    "__c5 BETWEEN __c6 AND __c6",
    "(SELECT id FROM t) = __c1",
    "__c2 LIKE 'a' ESCAPE __c2",
    "__c1 || __c5",
    "substr(__c2, 1, 2) = 'x'",
]


@pytest.mark.parametrize("sql", TOTAL)
def test_cannot_fail(sql: str) -> None:
    assert not may_fail(expr(sql), TYPES)


@pytest.mark.parametrize("sql", MAY_FAIL)
def test_may_fail(sql: str) -> None:
    assert may_fail(expr(sql), TYPES)


@pytest.mark.parametrize("sql", TOTAL)
def test_what_cannot_fail_does_not_fail_on_extreme_rows(sql: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (id INTEGER, x VARCHAR); INSERT INTO t VALUES (1, 'a'), (2, 'a')")
        made = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
        connection.execute(f"CREATE TABLE rows ({made})")
        connection.execute(
            """INSERT INTO rows VALUES (NULL, NULL, NULL, NULL, NULL, NULL),
            (-2147483648, '', -9999999.99, -170141183460469231731687303715884105728, '-infinity', '-infinity'),
            (2147483647, '\\', 9999999.99, 170141183460469231731687303715884105727, 'infinity', 'infinity')"""
        )
        assert len(connection.execute(f"SELECT {sql} FROM rows").fetchall()) == 3
