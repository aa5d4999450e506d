"""The pipeline: order, switching off, tracing, and the checks that blame a rule by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from anserdb.engine.errors import BindError, InternalError, RuleBug
from anserdb.engine.plan.nodes import (
    Call,
    Column,
    Compute,
    Computed,
    Demand,
    Expr,
    Filter,
    Input,
    Keep,
    Plan,
    Relation,
    SemanticCall,
    Source,
    SourceItem,
)
from anserdb.engine.plan.walk import columns
from anserdb.engine.settings import Settings
from anserdb.optimizer.context import Context
from anserdb.optimizer.pipeline import MAX_ROUNDS, ORDER, optimize
from anserdb.optimizer.rule import Rule

ID, BODY = Column("__c1", "INTEGER", "id"), Column("__c2", "VARCHAR", "body")
ANGRY = Column("__s1", "BOOLEAN", "LLM_FILTER('angry', body)")
CONTEXT = Context(Settings())


def call(number: int = 1, argument: str = "__c2") -> SemanticCall:
    output = replace(ANGRY, name=f"__s{number}")
    return SemanticCall(
        f"{number}:LLM_FILTER", "LLM_FILTER", ("angry", None), (argument,), ("VARCHAR", "VARCHAR"), ("'angry'", "body"),
        {"model": "small"}, None, output,
    )  # fmt: skip


def expr(sql: str, *uses: str) -> Expr:
    return Expr(sql, frozenset(uses), sql)


def source() -> Source:
    return Source("", "tickets", (SourceItem("id", (ID,)), SourceItem("body", (BODY,))))


def query(plan: Plan, **flags: object) -> Relation:
    flags = {"uses": frozenset({"__c1"}), **flags}
    return Relation("SELECT __c1 AS id FROM __in", (Input("__in", plan),), (ID,), **flags)  # type: ignore[arg-type]


def naive() -> Relation:
    """``SELECT id FROM tickets WHERE LLM_FILTER('angry', body) AND id > 3``."""
    angry = Filter(Call(source(), call()), expr("__s1", "__s1"))
    return query(Filter(angry, expr("__c1 > 3", "__c1")))


def run_rule(rewrite: Callable[[Plan], Plan | None], plan: Plan, **flags: bool) -> Plan:
    rule = Rule("suspect", lambda p, _: rewrite(p), **flags)
    return optimize(plan, CONTEXT, rules={"suspect": rule}, order=("suspect",)).plan


def test_every_rule_is_traced_with_time_and_trees() -> None:
    result = optimize(naive(), CONTEXT, with_trees=True)
    first = result.trace[0]
    assert (first.rule, first.fired) == ("relational_first", True)
    assert first.before.index("Filter  id > 3") < first.before.index("Call")
    assert first.after.index("Filter  id > 3") > first.after.index("Call")
    assert all(step.seconds >= 0 for step in result.trace)
    assert [s.rule for s in result.trace[: len(ORDER)]] == list(ORDER)
    assert result.fired == ("relational_first", "prune_columns", "distinct_gather")


def test_trees_are_kept_only_when_asked_for() -> None:
    assert {s.before for s in optimize(naive(), CONTEXT).trace} == {""}


def test_it_stops_after_a_round_without_change() -> None:
    assert len(optimize(naive(), CONTEXT).trace) == 2 * len(ORDER)


def test_a_rule_that_never_rests_is_bounded() -> None:
    result = optimize(
        query(source(), limit=100),
        CONTEXT,
        rules={"restless": Rule("restless", lambda p, _: replace(p, limit=p.limit - 1))},  # type: ignore[call-arg,union-attr]
        order=("restless",),
    )
    assert len(result.trace) == MAX_ROUNDS


@pytest.mark.parametrize("off", ["relational_first", " Relational_First , common_call"])
def test_a_rule_can_be_switched_off(off: str) -> None:
    result = optimize(naive(), Context(Settings(llm_disabled_rules=off)))
    assert "relational_first" not in {s.rule for s in result.trace}
    assert result.fired == ("prune_columns", "distinct_gather")


def test_all_rules_can_be_switched_off() -> None:
    plan = naive()
    assert optimize(plan, Context(Settings(llm_disabled_rules="all"))).plan is plan


def test_switching_off_an_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(BindError, match=r"no rule relational_frist.*Did you mean relational_first") as caught:
        optimize(naive(), Context(Settings(llm_disabled_rules="relational_frist")))
    assert caught.value.candidates == ("relational_first",)


def lose_column(plan: Plan) -> Plan:
    return replace(plan, columns=())  # type: ignore[call-arg]


def change_type(plan: Plan) -> Plan:
    return replace(plan, columns=(replace(ID, type="BIGINT"),))  # type: ignore[call-arg]


def call_twice(plan: Plan) -> Plan:
    again = Call(plan.inputs[0].plan, replace(call(2), site="1:LLM_FILTER"))  # type: ignore[union-attr]
    return replace(plan, inputs=(Input("__in", again),))  # type: ignore[call-arg]


def read_missing(plan: Plan) -> Plan:
    return replace(plan, inputs=(Input("__in", Keep(source(), ("__c2",))),))  # type: ignore[call-arg]


def overwrite(plan: Plan) -> Plan:
    twice = Compute(source(), (Computed(ID, expr("1")),))
    return replace(plan, inputs=(Input("__in", twice),))  # type: ignore[call-arg]


def negative(plan: Plan) -> Plan:
    return replace(plan, inputs=(Input("__in", Demand(source(), -1)),))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (lose_column, "the result's columns were"),
        (change_type, "BIGINT"),
        (call_twice, "call 1:LLM_FILTER was added"),
        (read_missing, "Relation reads __c1, which its input does not yield"),
        (overwrite, "Compute yields __c1 twice"),
        (negative, "Demand of -1 rows"),
    ],
)
def test_a_rule_that_breaks_the_plan_is_named(rewrite: Callable[[Plan], Plan], message: str) -> None:
    with pytest.raises(RuleBug, match=message) as caught:
        run_rule(rewrite, naive())
    assert caught.value.rule == "suspect"
    assert "SET llm_disabled_rules = 'suspect'" in str(caught.value)


def test_a_rule_that_raises_is_named_and_its_error_is_the_cause() -> None:
    with pytest.raises(RuleBug, match="ZeroDivisionError") as caught:
        run_rule(lambda _: 1 // 0, naive())  # type: ignore[arg-type,return-value]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_broken_naive_plan_is_not_blamed_on_a_rule() -> None:
    broken = query(Filter(source(), expr("__c9", "__c9")))
    with pytest.raises(InternalError, match="Filter reads __c9") as caught:
        optimize(broken, CONTEXT)
    assert not isinstance(caught.value, RuleBug)


def test_a_rule_that_changes_answers_does_not_run_without_a_policy() -> None:
    plan = naive()
    assert run_rule(lose_column, plan, changes_answers=True) is plan


def test_a_root_that_is_no_relation_keeps_its_columns_in_any_order() -> None:
    plan = naive().inputs[0].plan
    assert {c.name for c in columns(optimize(plan, CONTEXT).plan)} == {"__c1", "__c2", "__s1"}
