"""Counts, sums and averages estimated from a sample: whole queries, beside the same ones asked about every row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import anserdb
from anserdb.engine.errors import BudgetExceeded, ModelError
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.batched_prompts import in_company
from tests.support.reader import read

KIWI = "LLM_FILTER('mentions kiwi', body)"
TABLE = """CREATE OR REPLACE TABLE t AS SELECT i AS id, i % 3 AS g, (hash(i) % 1000)::DECIMAL(9, 1) AS x,
           CASE hash(i * 7) % 40 WHEN 0 THEN NULL WHEN 1 THEN 'fails ' || i ELSE
           (CASE WHEN hash(i + {seed}) % 10 < 6 THEN 'kiwi ' ELSE 'fig ' END) || i % {texts} END AS body FROM range({rows}) r(i)"""


@dataclass(frozen=True, slots=True)
class Road:
    """A connection with its model, which fails on some texts."""

    con: anserdb.Connection
    model: ScriptedModel

    def fill(self, rows: int, *, seed: int = 0, texts: int = 1_000_000) -> None:
        self.con.sql(TABLE.format(rows=rows, seed=seed, texts=texts))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        result = self.con.sql(query)
        assert result is not None
        return result.fetchall()

    def exact(self, query: str) -> list[tuple[Any, ...]]:
        """Without the rule."""
        self.con.sql("SET llm_disabled_rules = 'approximate'")
        try:
            return self.rows(query)
        finally:
            self.con.sql("SET llm_disabled_rules = ''")


@contextmanager
def road(**chosen: Any) -> Iterator[Road]:
    fails = ("fails", ModelError("It fails on this text.", "m"))
    model = ScriptedModel([fails, ("", in_company(read))])
    with anserdb.connect(store=":memory:", llm_model="m", **chosen) as con:
        con.register_model("m", model)
        yield Road(con, model)


@pytest.fixture
def rough() -> Iterator[Road]:
    with road(llm_approximate=0.25) as made:
        yield made


def asked_about(model: ScriptedModel) -> int:
    """Calls, but for those that calibrate."""
    return sum(bool(re.search(r"(kiwi|fig|fails) ?\d", str(call))) for call in model.calls)


def estimates(con: anserdb.Connection) -> list[dict[str, Any]]:
    result = con.sql("FROM llm_estimates()")
    assert result is not None
    return result.arrow().to_pylist()


def test_estimates_come_with_intervals_that_hold_the_truth(rough: Road) -> None:
    query = f"SELECT count(*), avg(x), sum(x) FROM t WHERE {KIWI}"
    missed = 0
    for seed in range(6):
        rough.fill(700, seed=seed)
        (found,) = rough.rows(query)
        intervals = estimates(rough.con)
        (truth,) = rough.exact(query)
        assert [e["number"] for e in intervals] == ["count(*)", "avg(x)", "sum(x)"]
        for value, true, e in zip(found, truth, intervals, strict=True):
            assert float(value) == pytest.approx(e["estimate"], abs=0.5)
            assert e["rows_asked"] < e["rows"] == 700
            missed += not e["low"] <= float(true) <= e["high"]
    assert missed <= 3  # of 18


def test_a_notice_says_how_far_the_truth_may_be(rough: Road) -> None:
    rough.fill(2000)
    result = rough.con.sql(f"SELECT count(*) FROM t WHERE {KIWI}")
    assert result is not None
    ((found,),) = result.fetchall()
    (e,) = estimates(rough.con)
    margin = max(e["high"] - e["estimate"], e["estimate"] - e["low"])
    said = f"Estimated: count(*) = {found:,} ± {margin:,.0f} (95% each), {e['rows_asked']:,} of 2,000 rows asked: see llm_estimates()."
    assert said in result.notices
    assert margin <= 0.25 * e["estimate"]
    assert asked_about(rough.model) <= e["rows_asked"]


def test_the_same_table_is_sampled_the_same_way_again(rough: Road) -> None:
    rough.fill(1500)
    query = f"SELECT count(*) FROM t WHERE {KIWI} AND id % 7 > 0"
    first, before = rough.rows(query), len(rough.model.calls)
    assert rough.rows(query) == first
    assert all("fails" in str(call) for call in rough.model.calls[before:])  # failures are not kept


def test_equal_inputs_are_asked_once_and_count_as_often_as_they_stand_there(rough: Road) -> None:
    rough.con.sql("SET llm_cache = false")
    rough.con.sql(
        "CREATE TABLE t AS SELECT CASE WHEN i % 10 < 6 THEN 'kiwi' ELSE 'fig' END || i % 20 AS body FROM range(5000) r(i)"
    )
    ((found,),) = rough.rows(f"SELECT count(*) FROM t WHERE {KIWI}")
    (e,) = estimates(rough.con)
    assert asked_about(rough.model) <= 20 < e["rows_asked"] < 5000
    assert e["low"] <= 3000 <= e["high"]
    assert found == pytest.approx(3000, rel=0.25)


def test_groups_are_sampled_apart_and_small_or_empty_ones_are_exact(rough: Road) -> None:
    rough.con.sql(
        """CREATE TABLE t AS SELECT CASE WHEN i < 1500 THEN 'large' WHEN i < 1540 THEN 'small' WHEN i < 1580 THEN 'none' END AS g,
           CASE WHEN i % 10 < 7 AND g IS DISTINCT FROM 'none' THEN 'kiwi ' ELSE 'fig ' END || i AS body FROM range(1620) r(i)"""
    )
    query = f"SELECT g, count(*), count(*) FILTER (WHERE contains(body, '7')) AS n FROM t WHERE {KIWI} GROUP BY g ORDER BY g"
    found, truth = rough.rows(query), rough.exact(query)
    assert [row[0] for row in found] == ["large", "small", None]
    assert found[1:] == truth[1:]
    assert found[0][1] == pytest.approx(truth[0][1], rel=0.25)
    rough.rows(query.replace(", count(*) FILTER (WHERE contains(body, '7')) AS n", ""))
    asked = {e["group"]: (e["rows_asked"], e["rows"], e["low"] == e["high"]) for e in estimates(rough.con)}
    assert asked.keys() == {"large", "small", "none", "NULL"}
    assert asked["large"][0] < 1500
    assert [asked[name] for name in ("small", "none", "NULL")] == [(40, 40, True)] * 3


def test_what_no_answer_changes_is_exact_beside_a_share(rough: Road) -> None:
    rough.fill(2000)
    query = f"SELECT g, count(*) FILTER (WHERE {KIWI}) / count(*), count(*), sum(x) FROM t GROUP BY g ORDER BY g"
    found, intervals, truth = rough.rows(query), estimates(rough.con), rough.exact(query)
    assert [row[2:] for row in found] == [row[2:] for row in truth]
    assert {e["number"] for e in intervals} == {f"count(*) FILTER (WHERE {KIWI})"}
    for row, true in zip(found, truth, strict=True):
        assert row[1] == pytest.approx(true[1], rel=0.35)
        assert row[1] != true[1]


def test_types_are_those_of_the_exact_query(rough: Road) -> None:
    rough.fill(1500)
    query = f"SELECT g, count(*), sum(id), sum(x), avg(x), avg({KIWI}::INT), sum(({KIWI})::INT) FROM t GROUP BY g"
    result = rough.con.sql(query)
    assert result is not None
    sampled_types = list(result.types)
    result.fetchall()
    rough.con.sql("SET llm_approximate = NULL")
    whole = rough.con.sql(query)
    assert whole is not None
    assert sampled_types == list(whole.types)


def test_a_small_table_is_asked_whole_and_nothing_is_said(rough: Road) -> None:
    rough.fill(90)
    query = f"SELECT count(*) FROM t WHERE {KIWI}"
    result = rough.con.sql(query)
    assert result is not None
    found = result.fetchall()
    assert not [notice for notice in result.notices if "Estimated" in notice]
    assert estimates(rough.con) == []
    assert found == rough.exact(query)


def test_a_table_that_is_made_has_exact_numbers(rough: Road) -> None:
    rough.fill(1500)
    query = f"SELECT count(*) AS n FROM t WHERE {KIWI}"
    rough.con.sql(f"CREATE TABLE kept AS {query}")
    assert rough.rows("FROM kept") == rough.exact(query)


def test_a_failure_ends_the_query_where_it_shall(rough: Road) -> None:
    rough.fill(1500)
    with pytest.raises(ModelError, match="It fails on this text"):
        rough.rows("SELECT count(*) FROM t WHERE LLM_FILTER('mentions kiwi', body, on_error := 'fail')")


def test_a_cap_ends_the_query(rough: Road) -> None:
    rough.fill(1500)
    rough.con.sql("SET llm_max_calls = 40")
    with pytest.raises(BudgetExceeded):
        rough.rows(f"SELECT count(*) FROM t WHERE {KIWI}")


def test_explain_says_so_beforehand_and_what_was_asked_afterwards(rough: Road) -> None:
    rough.fill(1500)
    query = f"SELECT count(*) FROM t WHERE {KIWI}"
    before = "\n".join(str(row[-1]) for row in rough.rows(f"EXPLAIN {query}"))
    assert "estimated from a sample, ± 25% each (95%)" in before
    assert "approximate" in before.split("rules: ")[1].splitlines()[0]
    after = "\n".join(str(row[-1]) for row in rough.rows(f"EXPLAIN ANALYZE {query}"))
    (e,) = estimates(rough.con)
    assert f"sample: {e['rows_asked']:,} of 1,500 rows asked" in after


def test_numbers_that_are_not_finite_are_not_estimated(rough: Road) -> None:
    rough.fill(600)
    for odd in ("'inf'", "'nan'", "CASE WHEN id % 2 = 0 THEN 'inf' ELSE '-inf' END"):
        value = f"CASE WHEN id % 50 < 2 THEN ({odd})::DOUBLE ELSE id END"
        found = rough.rows(f"SELECT avg({value}), count(*) FROM t WHERE {KIWI} AND contains(body, 'kiwi')")
        assert estimates(rough.con) == []
        assert str(found) == str(
            rough.exact(f"SELECT avg({value}), count(*) FROM t WHERE {KIWI} AND contains(body, 'kiwi')")
        )


def test_a_mean_of_nothing_in_a_group_that_was_asked_whole_is_null(rough: Road) -> None:
    rough.con.sql(
        "CREATE TABLE t AS SELECT i < 120 AS g, i AS x, CASE WHEN i % 10 < 7 AND i >= 120 THEN 'kiwi ' ELSE 'fig ' END || i AS body FROM range(2000) r(i)"
    )
    query = f"SELECT g, avg(CASE WHEN {KIWI} THEN x END), count(*) FROM t GROUP BY g ORDER BY g"
    found, intervals, truth = rough.rows(query), estimates(rough.con), rough.exact(query)
    assert found[1] == truth[1] == (True, None, 120)
    assert found[0][1] == pytest.approx(truth[0][1], rel=0.25)
    assert [(e["group"], e["estimate"] is None, e["rows_asked"]) for e in intervals][1] == ("true", True, 120)


def test_who_watches_never_sees_more_rows_done_than_there_are(rough: Road) -> None:
    rough.fill(1500)
    seen: list[tuple[int, int | None]] = []
    stop = rough.con.on_progress(lambda event: seen.extend((o.rows_done, o.rows_total) for o in event.operators))
    rough.rows(f"SELECT g, count(*), sum(x) FROM t WHERE {KIWI} GROUP BY g")
    stop()
    asked = sum(e["rows_asked"] for e in estimates(rough.con) if e["number"] == "count(*)")
    assert all(total is None or done <= total for done, total in seen)
    assert seen[-1] == (asked, asked)


SHAPES = [
    f"SELECT count(*), count(body), count(x) FILTER (WHERE x > 300), sum(x), avg(x) FROM t WHERE {KIWI}",
    f"SELECT g, count(*), avg(x) FROM t WHERE {KIWI} AND id % 5 > 0 GROUP BY g ORDER BY g",
    f"SELECT avg({KIWI}::INT), count_if({KIWI}), sum(CASE WHEN {KIWI} THEN x ELSE -x END) FROM t",
    f"SELECT CASE WHEN id % 4 > 0 THEN id % 4 END AS k, sum(id), count(*) + 1 FROM t WHERE {KIWI} GROUP BY k ORDER BY k NULLS LAST",
    f"SELECT count(*) FROM t WHERE {KIWI} AND LLM_CLASSIFY(body, ['fig', 'kiwi']) = 'kiwi'",
    f"SELECT count(*) FROM t WHERE {KIWI} AND NOT LLM_FILTER('mentions 1', body)",
    "SELECT a.g, count(*) FROM t a JOIN t b ON a.id = b.id + 1 WHERE LLM_FILTER('mentions kiwi', a.body, b.body) GROUP BY ALL ORDER BY 1",
    f"WITH q AS (SELECT * FROM t WHERE id % 2 = 0) SELECT sum(x) FROM q WHERE {KIWI}",
    f"SELECT count(*) AS n, g FROM t WHERE {KIWI} GROUP BY g ORDER BY n DESC, g LIMIT 2",
]


@pytest.fixture(scope="module")
def strict() -> Iterator[Road]:
    with road(llm_approximate=1e-9) as made:
        yield made


@given(st.sampled_from(SHAPES), st.sampled_from([0, 1, 170]), st.sampled_from([3, 1_000_000]), st.integers(0, 5))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_sample_of_all_rows_gives_the_exact_result(
    strict: Road, query: str, rows: int, texts: int, seed: int
) -> None:
    strict.fill(rows, seed=seed, texts=texts)
    result = strict.con.sql(query)
    assert result is not None
    assert "approximate" in str(strict.rows(f"EXPLAIN {query}"))
    assert result.fetchall() == strict.exact(query)
