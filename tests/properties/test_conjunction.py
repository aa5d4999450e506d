"""Filters run as one give the rows of the filters run one by one, and of DuckDB; what they ask depends on no answer's timing."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.support.roads import Road, asked, counted_failures, give, ran, texts, written_failures
from tests.support.roads import road as opened

CONDITIONS = {
    "LLM_FILTER('mentions a', x)": "contains(x, 'a')",
    "LLM_FILTER('mentions b', x)": "contains(x, 'b')",
    "LLM_FILTER('mentions c', upper(lower(y)))": "contains(upper(y), 'c')",
    "LLM_FILTER('mentions d', x, y)": "contains(x || y, 'd')",
    "LLM_FILTER('mentions e', COALESCE(y, 'e'))": "contains(COALESCE(y, 'e'), 'e')",
    "LLM_COMPLETE('mentions f', y, returns := 'BOOLEAN')": "contains(y, 'f')",
}
SHAPES = [
    "SELECT id FROM t WHERE {}",
    "SELECT id, LLM_FILTER('mentions a', x) FROM t WHERE {}",
    "SELECT count(*), max(y) FROM t WHERE {} AND id % 3 > 0",
    "SELECT id % 4 AS k, count(*) FROM t WHERE {} GROUP BY k ORDER BY k",
    "SELECT x FROM t WHERE {} ORDER BY id DESC",
    "SELECT t.id, u.id FROM t JOIN t u ON t.id = u.id + 1 WHERE t.id IN (SELECT id FROM t WHERE {})",
    "WITH q AS (SELECT id, y FROM t WHERE {}) SELECT LLM_COMPLETE('z', y) FROM q WHERE id > 5 ORDER BY id",
]


@pytest.fixture(scope="module")
def roads() -> Iterator[tuple[Road, Road, Road]]:
    """Two that differ in nothing but in who answers first; and one without rules."""
    with opened(1) as one, opened(2) as other, opened(3, llm_disabled_rules="all") as naive:
        yield one, other, naive


def table(seed: int, failing: float) -> pa.Table:
    """Made rows; see ``texts``."""
    dice = Random(seed)
    rows = range(dice.randrange(30, 120))
    x, y = (texts(dice, "abcdef", failing, rows) for _ in range(2))
    return pa.table({"id": rows, "x": x, "y": y})


@given(
    st.lists(st.sampled_from(sorted(CONDITIONS)), min_size=2, max_size=5, unique=True),
    st.sampled_from(SHAPES),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.2]),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_questions_and_books(
    roads: tuple[Road, Road, Road], conditions: list[str], shape: str, seed: int, failing: float
) -> None:
    query, rows = shape.format(" AND ".join(conditions)), table(seed, failing)
    give(roads, rows)
    one, other, naive = roads
    expected, _ = ran(naive.con, query)
    found, progress = ran(one.con, query)
    event(f"together: {any('order' in site.notes for site in progress.sites.values())}, kept: {bool(expected)}")
    assert found == expected
    assert ran(other.con, query)[0] == expected
    assert asked(other.model) == asked(one.model)
    assert written_failures(one.con, progress) == counted_failures(progress)
    if not failing:
        assert [ran(road.con, query)[1].calls for road in (one, other)] == [0, 0]
        plain = shape.format(" AND ".join(CONDITIONS[condition] for condition in conditions))
        assert "LLM" in plain or found == one.con.duckdb.execute(plain).fetchall()
