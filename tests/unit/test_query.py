"""The skeleton of a query: CTEs, branches, clauses, subqueries."""

from __future__ import annotations

import pytest

from anserdb.engine.sql.query import parse_block, parse_query, subqueries
from anserdb.engine.sql.tokens import Text


def clauses(sql: str) -> dict[str, str] | None:
    text = Text(sql)
    block = parse_block(text, text.all())
    return block and {name: text.source(where) for name, where in block.clauses.items()}


def branches(sql: str) -> list[str]:
    text = Text(sql)
    return [text.source(b) for b in parse_query(text, text.all()).branches]


def test_clauses_are_found_outside_brackets() -> None:
    assert clauses(
        "SELECT a, (SELECT b FROM u WHERE c) FROM t WHERE d IS NOT DISTINCT FROM e GROUP BY ALL HAVING f "
        "WINDOW w AS (ORDER BY g) QUALIFY h ORDER BY i LIMIT 1 OFFSET 2"
    ) == {
        "SELECT": "a, (SELECT b FROM u WHERE c)",
        "FROM": "t",
        "WHERE": "d IS NOT DISTINCT FROM e",
        "GROUP BY": "ALL",
        "HAVING": "f",
        "WINDOW": "w AS (ORDER BY g)",
        "QUALIFY": "h",
        "ORDER BY": "i",
        "LIMIT": "1",
        "OFFSET": "2",
    }


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("FROM t SELECT a WHERE b", {"FROM": "t", "SELECT": "a", "WHERE": "b"}),
        ("FROM t WHERE b", {"FROM": "t", "WHERE": "b"}),
        ("SELECT extract(year FROM d) FROM t USING SAMPLE 1%", {"SELECT": "extract(year FROM d)", "FROM": "t", "USING SAMPLE": "1%"}),
        ("VALUES (1)", None),
        ("PIVOT t ON a USING count(*)", None),
    ],
)  # fmt: skip
def test_a_block_may_begin_with_from(sql: str, found: dict[str, str] | None) -> None:
    assert clauses(sql) == found


def test_ctes_have_names_and_bodies() -> None:
    text = Text('WITH RECURSIVE a(x, y) AS (SELECT 1), "B c" AS NOT MATERIALIZED (SELECT 2) SELECT * FROM a')
    query = parse_query(text, text.all())
    assert [(c.name, text.source(c.body)) for c in query.ctes] == [("a", "SELECT 1"), ('"B c"', "SELECT 2")]
    assert text.source(query.ctes[0].whole) == "a(x, y) AS (SELECT 1)"
    assert query.recursive
    assert text.source(query.body) == "SELECT * FROM a"


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("SELECT 1 UNION ALL SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1 UNION BY NAME SELECT 2 EXCEPT ALL (SELECT 3)", ["SELECT 1", "SELECT 2", "SELECT 3"]),
        ("SELECT 1 INTERSECT SELECT 2 ORDER BY 1 LIMIT 3", ["SELECT 1", "SELECT 2"]),
        ("(SELECT 1 LIMIT 1) UNION (SELECT 2 LIMIT 2)", ["SELECT 1 LIMIT 1", "SELECT 2 LIMIT 2"]),
        ("((SELECT 1 ORDER BY 1))", ["SELECT 1 ORDER BY 1"]),
        ("SELECT * EXCLUDE (a) FROM t", ["SELECT * EXCLUDE (a) FROM t"]),
    ],
)
def test_branches_lose_parentheses_modifiers_and_the_common_tail(sql: str, parts: list[str]) -> None:
    assert branches(sql) == parts


def test_subqueries_are_the_outermost() -> None:
    text = Text("SELECT a IN (SELECT b FROM (SELECT c)), (d), EXISTS (FROM e), f((WITH g AS (SELECT 1) SELECT h))")
    found = [text.source(s) for s in subqueries(text, text.all())]
    assert found == ["SELECT b FROM (SELECT c)", "FROM e", "WITH g AS (SELECT 1) SELECT h"]
