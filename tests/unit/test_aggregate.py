"""Which calls are asked per row, and which per group."""

from __future__ import annotations

import pytest

from anserdb.engine.plan.nodes import Plan, Relation, Source
from anserdb.engine.plan.walk import calls, children, walk
from tests.support.plans import database, naive_plan


def plan_of(sql: str) -> Plan:
    with database() as connection:
        return naive_plan(sql, connection)


def sides(sql: str) -> tuple[list[str], list[str]]:
    """Sites of calls below the grouping, and above it."""
    plan = plan_of(sql)
    groupings = [n for n in walk(plan) if n is not plan and isinstance(n, Relation)]
    below = [c.call.function for g in groupings for c in calls(g)]
    return below, [c.call.function for c in calls(plan)][len(below) :]


@pytest.mark.parametrize(
    ("sql", "below", "above"),
    [
        ("SELECT LLM_CLASSIFY(body, ['a', 'b']) c, count(*) FROM tickets GROUP BY c", ["LLM_CLASSIFY"], []),
        ("SELECT LLM_CLASSIFY(body, ['a', 'b']) c, count(*) FROM tickets GROUP BY 1", ["LLM_CLASSIFY"], []),
        ("SELECT LLM_CLASSIFY(body, ['a', 'b']) c, count(*) FROM tickets GROUP BY ALL", ["LLM_CLASSIFY"], []),
        ("SELECT max(LLM_SCORE('a', body)) FROM tickets", ["LLM_SCORE"], []),
        ("SELECT count(*) FILTER (WHERE LLM_FILTER('a', body)) FROM tickets", ["LLM_FILTER"], []),
        ("SELECT year, count(*) FROM tickets WHERE LLM_FILTER('a', body) GROUP BY year", ["LLM_FILTER"], []),
        ("SELECT year, LLM_SUMMARIZE(body) FROM tickets GROUP BY year", [], ["LLM_SUMMARIZE"]),
        ("SELECT year, LLM_COMPLETE('a', max(body)) FROM tickets GROUP BY year", [], ["LLM_COMPLETE"]),
        ("SELECT year FROM tickets GROUP BY year HAVING LLM_FILTER('a', year)", [], ["LLM_FILTER"]),
        ("SELECT year FROM tickets GROUP BY year HAVING max(LLM_SCORE('a', body)) > 0.5", ["LLM_SCORE"], []),
        (
            "SELECT year, LLM_SUMMARIZE(LLM_COMPLETE('a', body)) FROM tickets GROUP BY year",
            ["LLM_COMPLETE"],
            ["LLM_SUMMARIZE"],
        ),
        (
            "SELECT LLM_COMPLETE('a', year), year FROM tickets WHERE LLM_FILTER('a', body) GROUP BY year",
            ["LLM_FILTER"],
            ["LLM_COMPLETE"],
        ),
    ],
)
def test_a_call_stands_below_or_above_the_grouping(sql: str, below: list[str], above: list[str]) -> None:
    assert sides(sql) == (below, above)


def test_a_grouping_without_calls_below_is_one_fragment() -> None:
    plan = plan_of("SELECT year, LLM_SUMMARIZE(body) FROM tickets WHERE id > 1 GROUP BY year HAVING count(*) > 1")
    (source,) = (n for n in walk(plan) if isinstance(n, Source))
    assert "WHERE id > 1 GROUP BY year HAVING (count(*) > 1)" in source.from_sql


def test_a_repeated_grouping_expression_is_not_asked_again() -> None:
    call = "LLM_CLASSIFY(body, ['a', 'b'])"
    plan = plan_of(f"SELECT {call}, {call} || '!' FROM tickets GROUP BY {call} HAVING {call} <> 'a' ORDER BY {call}")
    assert len(calls(plan)) == 1


def test_aggregates_of_a_subquery_are_its_own() -> None:
    plan = plan_of("SELECT id, (SELECT max(name) FROM customers) AS m, LLM_COMPLETE('a', body) FROM tickets")
    assert [type(n).__name__ for n in walk(plan)] == ["Relation", "Call", "Source"]


def test_literals_that_differ_in_case_stay_apart() -> None:
    plan = plan_of("SELECT string_agg(body, 'A'), string_agg(body, 'a'), LLM_COMPLETE('x', min(body)) FROM tickets")
    (source,) = (n for n in walk(plan) if isinstance(n, Source))
    assert len(source.items) == 3


def test_the_grouping_has_the_users_words() -> None:
    plan = plan_of("SELECT LLM_CLASSIFY(body, ['a', 'b']) AS c, count(*) FROM tickets GROUP BY c")
    (grouping,) = (n for n in children(plan) if isinstance(n, Relation))
    assert grouping.label == "SELECT LLM_CLASSIFY(body, ['a', 'b']), count(*) GROUP BY c"
