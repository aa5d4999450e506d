"""How many rows calls of a condition are expected to be asked about, beside an exact strategy that knows the same shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.physical.expected_sample import thinned
from anserdb.engine.plan.nodes import Condition, Conjunction, Plan, SemanticCall
from anserdb.engine.plan.walk import walk
from anserdb.engine.settings import Settings
from anserdb.optimizer.context import Context, NoStatistics
from anserdb.optimizer.cost.estimate import estimate
from anserdb.optimizer.cost.figure import Figure, exactly
from anserdb.optimizer.cost.reach import Together, reached, together
from anserdb.optimizer.cost.sampled import SourceSample
from anserdb.optimizer.ordering.adaptive import Tuning
from anserdb.optimizer.ordering.predicate import Predicate
from anserdb.optimizer.ordering.strategy import Strategy
from anserdb.optimizer.ordering.trees import Junction, Leaf
from anserdb.optimizer.pipeline import optimize
from tests.support.plans import database, naive_plan

BOTH = "SELECT id FROM tickets WHERE LLM_FILTER('a', body) AND LLM_FILTER('b', body)"
TREE = """SELECT id FROM tickets WHERE (LLM_FILTER('a', body) OR LLM_FILTER('b', body) AND LLM_FILTER('c', subject))
          AND NOT LLM_FILTER('d', body)"""
PLAIN = "SELECT id FROM tickets WHERE (year = 2021 OR LLM_FILTER('a', body)) AND LLM_FILTER('b', body)"
MANY = 10_000.0


@dataclass(frozen=True)
class Shares(NoStatistics):
    """Of TRUE, by the condition."""

    known: dict[str, float]

    def selectivity(self, call: SemanticCall, below: Plan | None = None) -> Figure | None:
        share = self.known.get(str(call.constants[0]))
        return None if share is None else exactly(share, "told")


def plan_of(sql: str) -> Plan:
    with database() as connection:
        return optimize(naive_plan(sql, connection), Context(Settings())).plan


@cache
def node_of(sql: str) -> tuple[Conjunction | Condition, Together]:
    node = next(n for n in walk(plan_of(sql)) if isinstance(n, Conjunction | Condition))
    found = together(node)
    assert found is not None
    return node, found


def shares_of(sql: str, known: dict[str, float], costs: list[float], rows: float = MANY) -> dict[str, Figure]:
    node, found = node_of(sql)
    figures = reached(found, node, costs, Shares(known), rows)
    return {str(call.constants[0]): figure for call, figure in zip(found.calls, figures, strict=True)}


def test_the_rare_answer_is_asked_first_whatever_the_text_says() -> None:
    found = shares_of(BOTH, {"a": 0.9, "b": 0.1}, [1.0, 1.0])
    assert found["b"].value == pytest.approx(1.0)
    assert found["a"].value == pytest.approx(0.1, abs=Tuning().audited)
    assert "cheapest order" in found["a"].source


def test_few_rows_are_asked_in_the_order_of_the_prior() -> None:
    found = shares_of(BOTH, {"a": 0.9, "b": 0.1}, [1.0, 2.0], rows=20)
    assert (found["a"].value, found["b"].value) == (1.0, 0.9)


def test_what_is_not_known_may_be_anything() -> None:
    found = shares_of(BOTH, {}, [1.0, 1.0])
    for figure in found.values():
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= 0.1
        assert figure.high >= 0.9
        assert "prior" in figure.source


def test_a_part_that_is_known_before_may_decide_every_row_or_none() -> None:
    found = shares_of(PLAIN, {"a": 0.5, "b": 0.5}, [1.0, 1.0])["a"]
    assert found.low == 0.0
    assert found.value == pytest.approx(0.5, abs=Tuning().audited)


def test_what_a_source_says_of_a_known_part_decides() -> None:
    node, found = node_of(PLAIN)
    known = {(True,): 0.75, (False,): 0.2, (None,): 0.05}
    figures = reached(found, node, [1.0, 1.0], Shares({"a": 0.5, "b": 0.5}), MANY, known)
    by_name = {str(call.constants[0]): f.value for call, f in zip(found.calls, figures, strict=True)}
    assert by_name["a"] == pytest.approx(0.25, abs=0.02), "where the year is right, nobody asks a"
    assert by_name["b"] == pytest.approx(0.75 + 0.25 / 2, abs=0.02)


def test_inputs_repeat_less_often_in_a_sample() -> None:
    whole = SourceSample(exactly(1000.0, "counted"), 1000, {"few": 0.01, "each": 1.0, "some": 0.5})
    part = thinned(whole, exactly(100.0, "planned"))
    inputs = {site: ratio * part.rows.value for site, ratio in part.distinct.items()}
    assert inputs == {"few": pytest.approx(10.0, rel=0.01), "each": pytest.approx(100.0), "some": pytest.approx(95.0)}
    assert part.whole == whole.rows


SHARE = st.floats(0.02, 0.98)
COST = st.floats(1.0, 100.0)


@settings(max_examples=40, deadline=None)
@given(shares=st.tuples(*[SHARE] * 4), costs=st.tuples(*[COST] * 4))
def test_a_condition_costs_what_the_best_strategy_does(shares: tuple[float, ...], costs: tuple[float, ...]) -> None:
    node, found = node_of(TREE)
    figures = reached(found, node, list(costs), Shares(dict(zip("abcd", shares, strict=True))), MANY)
    expected = sum(cost * figure.value for cost, figure in zip(costs, figures, strict=True))
    assert found.tree is not None
    best = Strategy(found.tree, [Predicate(c, true=s) for c, s in zip(costs, shares, strict=True)]).cost
    assert best * (1 - 1e-9) <= expected <= best * (1 + Tuning().audit_share) + 1e-9


@settings(max_examples=40, deadline=None)
@given(shares=st.tuples(SHARE, SHARE), costs=st.tuples(COST, COST))
def test_a_conjunction_is_one_of_them(shares: tuple[float, float], costs: tuple[float, float]) -> None:
    node, both = node_of(BOTH)
    figures = reached(both, node, list(costs), Shares(dict(zip("ab", shares, strict=True))), MANY)
    expected = sum(cost * figure.value for cost, figure in zip(costs, figures, strict=True))
    alone = [Predicate(c, true=s) for c, s in zip(costs, shares, strict=True)]
    best = Strategy(Junction("and", (Leaf(0), Leaf(1))), alone).cost
    assert best * (1 - 1e-9) <= expected <= best * (1 + Tuning().audit_share) + 1e-9


def test_an_estimate_has_the_calls_of_the_cheapest_order() -> None:
    plan = plan_of(BOTH)
    bottom = max(estimate(plan, {}), key=len)
    sample = SourceSample(
        exactly(1000.0, "exact count"), 1000, tokens_in=dict.fromkeys(("1:LLM_FILTER", "2:LLM_FILTER"), 50.0)
    )
    found = estimate(plan, {bottom: sample}, statistics=Shares({"a": 0.9, "b": 0.1}))
    calls = sorted(e.calls.value for e in found.values() if e.calls is not None)
    assert calls == [pytest.approx(100.0, abs=20), pytest.approx(1000.0)]
