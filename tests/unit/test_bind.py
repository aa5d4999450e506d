"""The road that a statement takes, what its plan holds, and which rows it asks."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from anserdb import BindError, NotSupportedError
from anserdb.engine.plan.nodes import Plan, Relation, Source
from anserdb.engine.plan.walk import calls, children, walk
from anserdb.engine.sql.bind import Bound, bind
from tests.support.plans import ConnectionCatalog, database


@pytest.fixture(scope="module")
def catalog() -> Iterator[ConnectionCatalog]:
    with database() as connection:
        yield ConnectionCatalog(connection)


def bound(sql: str, catalog: ConnectionCatalog) -> Bound:
    found = bind(sql, catalog)
    assert found is not None
    return found


def guards(plan: Plan) -> dict[str, str]:
    """Per call site the user's words of its guard."""
    labels = {
        c.column.name: c.column.label for n in walk(plan) for c in getattr(n, "columns", ()) if hasattr(c, "expr")
    }
    return {c.call.site: labels.get(c.call.guard or "", "") for c in calls(plan)}


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT list_transform([1], lambda x: LLM_COMPLETE('a', x))", "inside a lambda"),
        ("SELECT [LLM_COMPLETE('a', x) for x in [1]]", "inside a lambda"),
        ("SELECT t.id FROM tickets t LEFT JOIN customers c ON LLM_FILTER('a', t.body)", "LEFT JOIN"),
        ("UPDATE tickets SET body = LLM_COMPLETE('a', body)", "UPDATE"),
        ("INSERT INTO customers (name) VALUES (LLM_COMPLETE('a', 1))", "INSERT"),
        ("SELECT (SELECT LLM_COMPLETE('a', max(name)) FROM customers c WHERE c.customer_id = t.customer_id) FROM tickets t", "does not stand alone"),
        ("WITH RECURSIVE r(n) AS (SELECT LLM_COMPLETE('a', 1) UNION ALL SELECT n FROM r) SELECT * FROM r", "recursive"),
        ("SELECT id FROM tickets UNION SELECT 1 ORDER BY LLM_SCORE('a', id)", "ORDER BY or LIMIT of a set operation"),
        ("CREATE TABLE r (a VARCHAR DEFAULT LLM_COMPLETE('a', 1)) ", "CREATE"),
    ],
)  # fmt: skip
def test_what_cannot_be_lifted_is_embedded_and_says_why(sql: str, reason: str, catalog: ConnectionCatalog) -> None:
    found = bound(sql, catalog)
    assert reason in found.embedded
    assert found.plan.embedded
    assert "__anser___s" in found.plan.sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM tickets WHERE LLM_CLASSIFY(body, ['a', 'b']) IN (SELECT name FROM customers)",
        "SELECT id FROM tickets WHERE LLM_FILTER('a', body) OR customer_id IN (SELECT customer_id FROM customers)",
        "SELECT id FROM tickets t WHERE LLM_FILTER('a', body) AND EXISTS (FROM customers c WHERE c.customer_id = t.id)",
        "SELECT DISTINCT ON (LLM_CLASSIFY(body, ['a', 'b'])) id FROM tickets",
        "FROM tickets WHERE LLM_FILTER('a', body)",
        "SELECT id + 1 AS n, LLM_COMPLETE('a', n) FROM tickets WHERE n > 3",
        "SELECT LLM_CLASSIFY(body, ['a', 'b']), count(*) FROM tickets GROUP BY LLM_CLASSIFY(body, ['a', 'b'])",
        "SELECT id FROM tickets WHERE LLM_FILTER('a', body) USING SAMPLE 50%",
        "COPY (SELECT LLM_COMPLETE('a', body) FROM tickets) TO '/dev/null'",
        "INSERT INTO customers (name) SELECT LLM_COMPLETE('a', body) FROM tickets",
    ],
)
def test_what_can_be_lifted_is(sql: str, catalog: ConnectionCatalog) -> None:
    found = bound(sql, catalog)
    assert found.embedded == ""
    assert calls(found.plan)


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT 'LLM_FILTER(x)'", "SELECT LLM_FILTER FROM tickets"])
def test_plain_sql_is_duckdbs_business(sql: str, catalog: ConnectionCatalog) -> None:
    assert bind(sql, catalog) is None


@pytest.mark.parametrize("sql", ["CREATE VIEW v AS SELECT {}", "CREATE OR REPLACE TEMP MACRO m(a) AS {}"])
def test_definitions_have_no_plan(sql: str, catalog: ConnectionCatalog) -> None:
    with pytest.raises(NotSupportedError, match="EXPLAIN a query that reads it"):
        bind(sql.format("LLM_COMPLETE('a', 1)"), catalog)


def test_a_cte_that_is_read_twice_is_asked_once(catalog: ConnectionCatalog) -> None:
    sql = "WITH a AS (SELECT id, LLM_COMPLETE('x', body) AS c FROM tickets) SELECT * FROM a JOIN a b USING (id)"
    plan = bound(sql, catalog).plan
    assert len(children(plan)) == len(calls(plan)) == 1


def test_results_are_named_and_typed_by_duckdb(catalog: ConnectionCatalog) -> None:
    sql = "SELECT t.ID, 1 + 1, LLM_COMPLETE('x', body), upper(LLM_COMPLETE('x', body)), t.* FROM tickets t"
    columns = [(c.name, c.type) for c in bound(sql, catalog).plan.columns]
    assert columns[:4] == [
        ("id", "INTEGER"),
        ("(1 + 1)", "INTEGER"),
        ("llm_complete", "VARCHAR"),
        ("upper(LLM_COMPLETE('x', body))", "VARCHAR"),
    ]
    assert [n for n, _ in columns[4:]] == ["id", "customer_id", "subject", "body", "year", "price"]


def test_the_relation_on_top_has_the_users_words(catalog: ConnectionCatalog) -> None:
    sql = "SELECT id,\n  LLM_COMPLETE('x', body) AS c FROM tickets WHERE year > 2021 ORDER BY id LIMIT 3"
    assert bound(sql, catalog).plan.label == "SELECT id, LLM_COMPLETE('x', body) AS c ORDER BY id LIMIT 3"
    around = bound("SELECT count(*) FROM (SELECT LLM_COMPLETE('x', body) FROM tickets) q", catalog).plan
    assert around.label == "SELECT count(*) FROM (…) q"


def test_conjuncts_stay_in_the_order_of_the_text(catalog: ConnectionCatalog) -> None:
    plan = bound(
        "SELECT id FROM tickets WHERE LLM_FILTER('a', body) AND year = 1 AND LLM_FILTER('b', body)", catalog
    ).plan
    kinds = [type(n).__name__ for n in walk(plan)]
    assert kinds == ["Relation", "Filter", "Call", "Filter", "Filter", "Call", "Source"]


def test_guards_are_columns_with_the_users_words(catalog: ConnectionCatalog) -> None:
    sql = """SELECT CASE WHEN year = 1 THEN LLM_COMPLETE('a', body) ELSE COALESCE(price, LLM_COMPLETE('b', id)) END
             FROM tickets WHERE subject = 'x' OR LLM_FILTER('c', body)"""
    assert guards(bound(sql, catalog).plan) == {
        "1:LLM_FILTER": "subject = 'x' IS NOT TRUE",
        "2:LLM_COMPLETE": "year = 1 IS TRUE",
        "3:LLM_COMPLETE": "year = 1 IS NOT TRUE AND price IS NULL",
    }


def test_a_plan_that_would_yield_other_types_is_not_used(
    catalog: ConnectionCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = catalog.describe

    def wrong(sql: str, *, private: bool = False) -> list[tuple[str, str]]:
        return [(n, "BLOB" if private else t) for n, t in describe(sql, private=private)]

    monkeypatch.setattr(catalog, "describe", wrong)
    assert "BLOB" in bound("SELECT LLM_COMPLETE('a', body) FROM tickets", catalog).embedded


def test_binding_leaves_an_open_transaction_alive(catalog: ConnectionCatalog) -> None:
    native = catalog.duck.connection
    native.execute("BEGIN")
    native.execute("INSERT INTO customers VALUES (99, 'new', NULL, NULL)")
    bound("SELECT LLM_SCORE('a', name) AS s FROM customers WHERE s > 0.5", catalog)
    bound("SELECT [LLM_COMPLETE('a', x) for x in [1]] FROM customers", catalog)
    with pytest.raises(BindError):
        bind("SELECT LLM_SCORE('a', nope) FROM customers", catalog)
    assert native.execute("SELECT count(*) FROM customers").fetchall() == [(5,)]
    native.execute("ROLLBACK")


def test_sources_read_only_what_the_block_reads(catalog: ConnectionCatalog) -> None:
    plan = bound("SELECT id FROM tickets WHERE LLM_FILTER('{body} is rude')", catalog).plan
    (source,) = (n for n in walk(plan) if isinstance(n, Source))
    assert [i.sql for i in source.items] == ["id", "body"]


def test_a_user_macro_keeps_the_projection_on_the_users_connection(catalog: ConnectionCatalog) -> None:
    with database() as connection:
        connection.execute("CREATE MACRO mine(x) AS x || '!'")
        plan = bound("SELECT mine(LLM_COMPLETE('a', body)) FROM tickets", ConnectionCatalog(connection)).plan
    assert isinstance(plan, Relation)
    assert plan.session


def test_a_broken_connection_is_not_taken_for_a_missing_column() -> None:
    connection = database()
    broken = ConnectionCatalog(connection)
    connection.close()
    with pytest.raises((duckdb.Error, BindError)):
        bind("SELECT LLM_COMPLETE('a', body) FROM tickets", broken)
