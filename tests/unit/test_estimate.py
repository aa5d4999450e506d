"""Estimates: arithmetic, provenance, and what happens when nothing is known."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from anserdb.engine.plan.nodes import Plan, SemanticCall
from anserdb.engine.plan.render import Path
from anserdb.engine.settings import Settings
from anserdb.optimizer.context import Context, NoStatistics
from anserdb.optimizer.cost.estimate import NodeEstimate, SourceSample, estimate
from anserdb.optimizer.cost.figure import Figure
from anserdb.optimizer.pipeline import optimize
from tests.support.plans import database, naive_plan

SAMPLE = SourceSample(
    Figure(1000.0, "DuckDB estimate"), 200, distinct={"1:LLM_COMPLETE": 0.05}, tokens_in={"1:LLM_COMPLETE": 240.0}
)


@dataclass(frozen=True)
class Learnt(NoStatistics):
    def selectivity(self, call: SemanticCall, below: Plan | None = None) -> Figure | None:
        return Figure(0.1, "statistics of 400 answers")

    def tokens_out(self, call: SemanticCall) -> Figure | None:
        return Figure(2.0, "statistics of 400 answers")


def plan_of(sql: str):
    with database() as connection:
        return optimize(naive_plan(sql, connection), Context(Settings())).plan


def value(number: Figure | None) -> float | None:
    return None if number is None else number.value


PROJECT = "SELECT id, LLM_COMPLETE('reply', body) AS r FROM tickets"
FILTER = "SELECT id FROM tickets WHERE LLM_COMPLETE('is it angry?', body) = 'yes'"


def deepest(found: dict[Path, NodeEstimate]) -> Path:
    return max(found, key=len)


def sampled(sql: str, **more: object) -> dict[Path, NodeEstimate]:
    plan = plan_of(sql)
    bottom = deepest(estimate(plan, {}))
    return estimate(plan, {bottom: SAMPLE}, **more)  # type: ignore[arg-type]


def the_call(found: dict[Path, NodeEstimate]) -> NodeEstimate:
    return next(e for e in found.values() if e.calls is not None)


def test_calls_are_distinct_inputs_and_say_where_they_come_from() -> None:
    call = the_call(sampled(PROJECT))
    assert (value(call.rows_in), value(call.calls), value(call.tokens_in)) == (
        1000,
        pytest.approx(50),
        pytest.approx(12000),
    )
    assert call.calls is not None
    assert call.calls.source == "DuckDB estimate; sample of 200 rows"
    assert call.lines() == (
        "rows≈1,000 calls≈50 tokens in≈12,000 tokens out≈3,200 cost unknown "
        "(DuckDB estimate; sample of 200 rows; prior: 64 tokens an answer)",
    )


def test_money_comes_from_the_price_function() -> None:
    call = the_call(sampled(PROJECT, price=lambda model, i, o: (i + 2 * o) / 1e6 if model == "small" else None))
    assert value(call.money) == pytest.approx((12000 + 2 * 3200) / 1e6)
    assert "$0.0184" in call.lines()[0]


def test_without_a_sample_nothing_is_invented() -> None:
    found = estimate(plan_of(PROJECT), {})
    assert {(e.rows_out, e.calls, e.tokens_in, e.money) for e in found.values()} == {(None, None, None, None)}
    assert {e.lines() for e in found.values()} == {()}


def test_a_filter_uses_the_prior_and_says_so() -> None:
    top = sampled(FILTER)[()]
    assert value(top.rows_out) == 500
    assert top.rows_out is not None
    assert "prior: selectivity 0.5" in top.rows_out.source


def test_learnt_numbers_beat_priors() -> None:
    plan = plan_of("SELECT id FROM tickets WHERE LLM_COMPLETE('angry?', body, returns := 'BOOLEAN')")
    bottom = deepest(estimate(plan, {}))
    found = estimate(plan, {bottom: SAMPLE}, statistics=Learnt())
    assert value(found[()].rows_out) == pytest.approx(100)
    assert value(the_call(found).tokens_out) == pytest.approx(50 * 2)


def test_a_limit_needs_only_as_many_rows_as_the_filter_lets_through() -> None:
    found = sampled(f"{FILTER} LIMIT 10")
    call = the_call(found)
    assert value(call.rows_in) == 20
    assert value(call.calls) == pytest.approx(20 * 0.05)
    assert value(found[()].rows_out) == 10


def test_a_sort_reads_all_its_input() -> None:
    plan = plan_of("SELECT id, LLM_COMPLETE('reply', body) AS r FROM tickets ORDER BY id LIMIT 3")
    bottom = deepest(estimate(plan, {}))
    found = estimate(plan, {bottom: SAMPLE})
    assert value(found[bottom].rows_out) == 1000
    assert value(the_call(found).rows_in) == 3


def test_a_guard_is_a_prior_of_its_own() -> None:
    call = the_call(sampled("SELECT CASE WHEN year > 2021 THEN LLM_COMPLETE('reply', body) END AS r FROM tickets"))
    assert value(call.calls) == pytest.approx(1000 * 0.5 * 0.05)


def test_a_call_without_inputs_is_one_call() -> None:
    call = the_call(sampled("SELECT id, LLM_COMPLETE('a joke') AS r FROM tickets"))
    assert value(call.calls) == 1
