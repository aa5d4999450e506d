"""Conditions of AND, OR and NOT that are asked in any order give the rows and values of the condition as written, and of DuckDB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from anserdb.udfs.models.base import Capabilities
from tests.support.roads import Road, asked, counted_failures, give, ran, texts, written_failures
from tests.support.roads import road as opened

ASKED = {
    "LLM_FILTER('mentions a', x)": "contains(x, 'a')",
    "LLM_FILTER('mentions b', x)": "contains(x, 'b')",
    "LLM_FILTER('mentions c', upper(lower(y)))": "contains(upper(y), 'c')",
    "LLM_FILTER('mentions d', x, y)": "contains(x || y, 'd')",
    "LLM_CLASSIFY(x, ['a', 'b', 'c']) <> 'b'": "NOT (contains(x, 'b') AND NOT contains(x, 'a'))",
    "LLM_COMPLETE('say', y, returns := 'INTEGER') BETWEEN 3 AND 8": "length(y) BETWEEN 3 AND 8",
    "LLM_COMPLETE('mentions f', y, returns := 'BOOLEAN')": "contains(y, 'f')",
}
PLAIN = ["p", "id > 20", "y IS NULL", "x < y", "id IN (1, 5, 30, 44)"]
SHAPES = [
    "SELECT id FROM t WHERE {}",
    "SELECT id, {} AS v FROM t ORDER BY id",
    "SELECT id FROM t WHERE LLM_FILTER('mentions e', y) AND ({})",
    "SELECT id, CASE WHEN id > 10 THEN {} ELSE p END FROM t",
    "SELECT count(*) FILTER (WHERE {}), max(y) FROM t",
    "SELECT id FROM t WHERE ({}) IS NULL",
    "SELECT id, LLM_FILTER('mentions a', x) FROM t WHERE {}",
    "SELECT id, y FROM t WHERE {} LIMIT 7",
    "SELECT id FROM t WHERE LLM_FILTER('mentions e', y) AND LLM_FILTER('mentions g', x) AND LLM_FILTER('mentions f', x) LIMIT 3 OFFSET 2",
    "SELECT q.id FROM (SELECT id, x, y, p FROM t WHERE {} AND LLM_FILTER('mentions e', x)) q WHERE LLM_FILTER('mentions c', y) OR q.id < 9",
    "SELECT id FROM t WHERE LLM_FILTER('mentions o', LLM_COMPLETE('say', x)) AND LLM_FILTER('mentions g', x) AND NOT ({})",
]


@st.composite
def trees(draw: st.DrawFn) -> str:
    """Of depth 3 at most, no question twice."""
    unused = draw(st.permutations(sorted(ASKED)))
    return draw(_part(list(unused[: draw(st.integers(2, 5))]), 3))


@st.composite
def _part(draw: st.DrawFn, asked: list[str], depth: int) -> str:
    """A condition of which the questions are these."""
    negation = "NOT " * draw(st.booleans())
    if depth == 0 or len(asked) == 1:
        parts = [*asked, *draw(st.lists(st.sampled_from(PLAIN), max_size=1))]
        parts = draw(st.permutations(parts))
    else:
        cut = draw(st.integers(1, len(asked) - 1))
        parts = [draw(_part(asked[:cut], depth - 1)), draw(_part(asked[cut:], depth - 1))]
    joined = draw(st.sampled_from([" AND ", " OR "])).join(parts)
    return f"{negation}({joined})"


@pytest.fixture(scope="module")
def roads() -> Iterator[tuple[Road, Road, Road]]:
    """Two that differ in nothing but in who answers first; and one without the rule."""
    plain = Capabilities(choice_scores=False, local=True, concurrency=64)
    with (
        opened(1, plain) as one,
        opened(2, plain) as other,
        opened(3, plain, llm_disabled_rules="condition_tree") as naive,
    ):
        yield one, other, naive


def table(seed: int, failing: float) -> pa.Table:
    """Made rows; see ``texts``."""
    dice = Random(seed)
    rows = range(dice.randrange(30, 120))
    x, y = (texts(dice, "abcdefg", failing, rows) for _ in range(2))
    known = [dice.choice([True, False, None]) for _ in rows]
    return pa.table({"id": rows, "x": x, "y": y, "p": known})


@given(trees(), st.sampled_from(SHAPES), st.integers(0, 10_000), st.sampled_from([0.0, 0.2]))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_questions_and_books(
    roads: tuple[Road, Road, Road], tree: str, shape: str, seed: int, failing: float
) -> None:
    query, rows = shape.format(tree), table(seed, failing)
    give(roads, rows)
    one, other, naive = roads
    expected, _ = ran(naive.con, query)
    found, progress = ran(one.con, query)
    event(f"together: {any('order' in site.notes for site in progress.sites.values())}, {shape}")
    assert found == expected
    assert ran(other.con, query)[0] == expected
    if "LIMIT" not in shape:  # there, how many rows are under way when it is served depends on who answers first
        assert asked(other.model) == asked(one.model)
    assert max(asked(one.model).values(), default=1) == 1
    assert written_failures(one.con, progress) == counted_failures(progress)
    if not failing and "LIMIT" not in shape:
        assert [ran(road.con, query)[1].calls for road in (one, other)] == [0, 0]
        for question, plain in ASKED.items():
            query = query.replace(question, f"({plain})")
        assert "LLM" in query or found == one.con.duckdb.execute(query).fetchall()


def test_equal_texts_are_one_question_a_leaf_and_less_is_asked_than_as_written(roads: tuple[Road, Road, Road]) -> None:
    one, _, naive = roads
    condition = "(LLM_FILTER('mentions a', x) OR LLM_FILTER('mentions b', y)) AND LLM_FILTER('mentions c', x)"
    made = "CASE WHEN i % 10 = 0 THEN 'c' ELSE '' END || 'a ' || i % 40 AS x, 'none ' || i % 40 AS y"
    calls = []
    for road in (one, naive):
        road.con.duckdb.execute(f"CREATE OR REPLACE TABLE t AS SELECT i AS id, {made} FROM range(4000) r(i)")
        road.model.calls.clear()
        rows, _ = ran(road.con, f"SELECT count(*) FROM t WHERE {condition}")
        assert rows == [(400,)]
        by_question = Counter(
            word for _, user in asked(road.model) for word in ("mentions a", "mentions b", "mentions c") if word in user
        )
        assert max(by_question.values()) <= 40 + 20  # and those that calibrate
        calls.append(asked(road.model).total())
    assert calls[0] < calls[1]


@pytest.mark.parametrize("rows", [0, 1])
def test_empty_and_tiny_tables(roads: tuple[Road, Road, Road], rows: int) -> None:
    one, _, _ = roads
    one.con.duckdb.execute(
        f"CREATE OR REPLACE TABLE t AS SELECT i AS id, 'a' AS x, NULL::VARCHAR AS y FROM range({rows}) r(i)"
    )
    query = "SELECT LLM_FILTER('mentions a', x) OR LLM_FILTER('mentions b', y) AS v FROM t"
    assert ran(one.con, query)[0] == [(True,)] * rows
