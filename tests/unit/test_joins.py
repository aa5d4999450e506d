"""Semantic conditions in ON clauses."""

from __future__ import annotations

import pytest

from anserdb.engine.plan.nodes import Filter, Source
from anserdb.engine.plan.walk import calls, walk
from anserdb.engine.sql.bind import bind
from tests.support.plans import ConnectionCatalog, database, naive_plan


@pytest.mark.parametrize(
    ("source", "from_sql", "filters"),
    [
        (
            "tickets t JOIN customers c ON t.customer_id = c.customer_id AND LLM_FILTER('a', body, name)",
            "tickets t JOIN customers c ON (t.customer_id = c.customer_id)",
            ["LLM_FILTER('a', body, name)"],
        ),
        ("tickets t JOIN customers c ON LLM_FILTER('a', body)", "tickets t JOIN customers c ON TRUE", ["LLM_FILTER('a', body)"]),
        (
            "tickets t INNER JOIN customers c ON (LLM_FILTER('a', body) AND t.id = 1) LEFT JOIN customers d ON d.name = c.name",
            "tickets t INNER JOIN customers c ON (t.id = 1) LEFT JOIN customers d ON d.name = c.name",
            ["LLM_FILTER('a', body)"],
        ),
        (
            "tickets t JOIN customers c ON LLM_FILTER('a', body) OR t.id = 1",
            "tickets t JOIN customers c ON TRUE",
            ["LLM_FILTER('a', body) OR t.id = 1"],
        ),
    ],
)  # fmt: skip
def test_conditions_of_inner_joins_become_filters(source: str, from_sql: str, filters: list[str]) -> None:
    with database() as connection:
        plan = naive_plan(f"SELECT t.id FROM {source}", connection)
    (below,) = (n for n in walk(plan) if isinstance(n, Source))
    assert below.from_sql == from_sql
    assert [n.predicate.label for n in walk(plan) if isinstance(n, Filter)] == filters


@pytest.mark.parametrize("kind", ["LEFT", "RIGHT", "FULL", "SEMI", "ANTI", "LEFT OUTER"])
def test_conditions_of_other_joins_stay(kind: str) -> None:
    sql = f"SELECT t.id FROM tickets t {kind} JOIN customers c ON t.id = c.customer_id AND LLM_FILTER('a', t.body)"
    with database() as connection:
        bound = bind(sql, ConnectionCatalog(connection))
    assert bound is not None
    assert bound.embedded
    assert len(bound.plan.embedded) == 1


@pytest.mark.parametrize("kind", ["RIGHT", "FULL"])
def test_a_later_join_that_sees_unmatched_rows_keeps_an_inner_condition_in_its_place(kind: str) -> None:
    sql = f"""SELECT t.id FROM tickets t JOIN customers c ON LLM_FILTER('a', t.body)
              {kind} JOIN customers d ON d.name = c.name"""
    with database() as connection:
        bound = bind(sql, ConnectionCatalog(connection))
    assert bound is not None
    assert bound.embedded


def test_calls_above_an_outer_join_are_lifted() -> None:
    sql = "SELECT t.id FROM tickets t LEFT JOIN customers c USING (customer_id) WHERE LLM_FILTER('a', c.name)"
    with database() as connection:
        assert len(calls(naive_plan(sql, connection))) == 1
