"""Metamorphic properties of the rules: the rows of the naive plan, and no question that the naive plan does not ask."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from anserdb.engine.plan.nodes import (
    Call,
    Column,
    Compute,
    Computed,
    Expr,
    Filter,
    Input,
    Plan,
    Relation,
    SemanticCall,
    Source,
    SourceItem,
)
from anserdb.engine.plan.render import render
from anserdb.engine.plan.walk import columns
from anserdb.engine.settings import Settings
from anserdb.optimizer.context import Context
from anserdb.optimizer.pipeline import ORDER, optimize
from anserdb.optimizer.rules import all_rules
from tests.support.plans import Evaluator, database, naive_plan

ID, SUBJECT = Column("__c1", "INTEGER", "id"), Column("__c2", "VARCHAR", "subject")
BODY, YEAR, PRICE = (
    Column("__c3", "VARCHAR", "body"),
    Column("__c4", "INTEGER", "year"),
    Column("__c5", "VARCHAR", "price"),
)
BASE = (ID, SUBJECT, BODY, YEAR, PRICE)

RELATIONAL = [
    "__c2 = 'late'",
    "__c4 > 2021",
    "__c2 = 'late' OR __c4 = 2021",
    "__c3 IS NOT NULL",
    "length(__c3) > 10",
    "__c3 LIKE '%it%' AND __c2 <> 'refund'",
    "__c5::INTEGER > 5",
    "100 / (__c4 - 2020) > 50",
    "random() >= 0",
    "__c1 IN (SELECT id FROM tickets WHERE year > 2020)",
    "(__c4, __c2) <> (2022, 'late')",
]
COMPUTED = [
    ("lower(__c3)", "VARCHAR"),
    ("__c4 > 2021", "BOOLEAN"),
    ("__c2 = 'late'", "BOOLEAN"),
    ("__c2 || '!'", "VARCHAR"),
]


def expr(sql: str, plan: Plan) -> Expr:
    return Expr(sql, frozenset(c.name for c in columns(plan) if c.name in sql), sql)


def of_type(plan: Plan, kind: str, prefix: str = "__") -> list[str]:
    return [c.name for c in columns(plan) if c.type == kind and c.name.startswith(prefix)]


@st.composite
def sources(draw: st.DrawFn) -> Plan:
    if draw(st.booleans()):
        star = (Column("__c0", "INTEGER", "customer_id"),)
        order = "id, subject, body, year, price, customer_id"
        return Source("", f"(SELECT {order} FROM tickets) AS t", (SourceItem("*", BASE + star),))
    return Source("", "tickets", tuple(SourceItem(c.label, (c,)) for c in BASE))


@st.composite
def grown(draw: st.DrawFn, plan: Plan, number: int) -> Plan:
    """``plan`` with one more node on top."""
    kind = draw(st.sampled_from(["relational", "semantic", "compute", "call", "call", "argument filter"]))
    answers = of_type(plan, "BOOLEAN", "__s")
    if kind == "relational":
        return Filter(plan, expr(draw(st.sampled_from(RELATIONAL)), plan))
    if kind == "semantic" and answers:
        shape = draw(st.sampled_from(["{}", "NOT {}", "{} OR __c4 > 2021", "{} IS NULL"]))
        return Filter(plan, expr(shape.format(draw(st.sampled_from(answers))), plan))
    if kind == "argument filter" and (made := of_type(plan, "VARCHAR", "__a")):
        return Filter(plan, expr(f"{draw(st.sampled_from(made))} LIKE '%a%'", plan))
    if kind == "compute":
        sql, type_text = draw(st.sampled_from([*COMPUTED, *((f"{a} IS TRUE", "BOOLEAN") for a in answers)]))
        return Compute(plan, (Computed(Column(f"__a{number}", type_text, sql), expr(sql, plan)),))
    return Call(plan, draw(calls_over(plan, number)))


@st.composite
def calls_over(draw: st.DrawFn, plan: Plan, number: int) -> SemanticCall:
    argument = draw(st.sampled_from(of_type(plan, "VARCHAR")))
    guards = [None, None, None, *of_type(plan, "BOOLEAN", "__a")]
    kind = draw(st.sampled_from(["BOOLEAN", "BOOLEAN", "VARCHAR"]))
    return SemanticCall(
        site=f"{number}:LLM_X",
        function=f"LLM_{kind}",
        constants=(draw(st.sampled_from(["angry", "polite"])),),
        arguments=(argument,),
        argument_types=("VARCHAR", "VARCHAR"),
        argument_texts=("'…'", argument),
        options={"model": "small"},
        guard=draw(st.sampled_from(guards)),
        output=Column(f"__s{number}", kind, f"answer {number}"),
    )


@st.composite
def naive_plans(draw: st.DrawFn) -> Plan:
    plan = draw(sources())
    for number in range(1, draw(st.integers(2, 9))):
        plan = draw(grown(plan, number))
    return draw(topped(plan))


@st.composite
def topped(draw: st.DrawFn, plan: Plan) -> Plan:
    chosen = draw(st.lists(st.sampled_from([c for c in columns(plan) if c != ID]), max_size=3, unique=True))
    shown = (ID, *chosen)
    names = ", ".join(c.name for c in shown)
    inputs, uses = (Input("__in", plan),), frozenset(c.name for c in shown)
    shape = draw(st.sampled_from(["all", "limit", "order", "order limit", "count"]))
    if shape == "count":
        count = (Column("n", "BIGINT", "n"),)
        return Relation("SELECT count(*) AS n FROM __in", inputs, count, frozenset())
    limit = draw(st.integers(0, 4)) if "limit" in shape else None
    order = draw(st.sampled_from(["__c1 DESC", "__c4, __c1", "__c5, __c1 DESC"])) if "order" in shape else None
    keys = None if order is None else expr(order, plan)
    sql = (
        f"SELECT {names} FROM __in"
        + (f" ORDER BY {order}" if order else "")
        + (f" LIMIT {limit}" if limit is not None else "")
    )
    uses |= keys.uses if keys else frozenset()
    return Relation(sql, inputs, shown, uses, limit=limit, rowwise=True, order_by=keys)


@cache
def tables() -> duckdb.DuckDBPyConnection:
    """Nobody changes them. Each run has a cursor: temporary tables and views are its own, and go with it."""
    return database()


def run(plan: Plan) -> tuple[list[tuple[Any, ...]], Counter[Any]]:
    with tables().cursor() as connection:
        evaluator = Evaluator(connection)
        return evaluator.rows(plan), Counter(evaluator.asked)


def check(plan: Plan, order: tuple[str, ...]) -> None:
    try:
        rows, asked = run(plan)
    except duckdb.Error:
        assume(False)
    result = optimize(plan, Context(Settings()), order=order)
    event(f"fired: {', '.join(result.fired) or 'nothing'}")
    rows_after, asked_after = run(result.plan)
    assert rows_after == rows, f"{render(plan)}\n\n{render(result.plan)}"
    assert not asked_after - asked, f"new questions\n{render(plan)}\n\n{render(result.plan)}"


@given(naive_plans())
@settings(max_examples=80, deadline=None)
def test_all_rules_keep_rows_and_ask_nothing_new(plan: Plan) -> None:
    check(plan, ORDER)


@pytest.mark.parametrize("rule", sorted(all_rules()))
@given(plan=naive_plans())
@settings(max_examples=25, deadline=None)
def test_each_rule_alone_keeps_rows_and_asks_nothing_new(rule: str, plan: Plan) -> None:
    check(plan, (rule,))


@given(naive_plans())
@settings(max_examples=50, deadline=None)
def test_optimizing_twice_changes_nothing_more(plan: Plan) -> None:
    once = optimize(plan, Context(Settings())).plan
    assert optimize(once, Context(Settings())).plan == once


CONJUNCTS = [
    "LLM_FILTER('angry', body)",
    "NOT LLM_FILTER('polite', subject)",
    "LLM_FILTER('angry', lower(body)) IS NOT FALSE",
    "(year > 2021 OR LLM_FILTER('angry', body))",
    "LLM_SCORE('urgent', body) > 0.3",
    "year > 2020",
    "subject <> 'refund'",
    "price::INTEGER > 5",
    "tickets.customer_id IN (SELECT customer_id FROM customers WHERE tier = 'gold')",
]
ITEMS = [
    "year",
    "*",
    "LLM_FILTER('angry', body) AS angry",
    "LLM_SCORE('urgent', body) AS s",
    "LLM_SCORE('urgent', lower(body)) AS t",
    "CASE WHEN year > 2021 THEN LLM_SCORE('urgent', body) END AS recent",
    "coalesce(LLM_COMPLETE('reply', subject), LLM_COMPLETE('reply', body)) AS reply",
]
TAILS = [
    "",
    " LIMIT 3",
    " LIMIT 2 OFFSET 1",
    " ORDER BY id DESC LIMIT 2",
    " ORDER BY LLM_SCORE('urgent', body), id LIMIT 3",
]
TABLES = ["tickets", "tickets LEFT JOIN customers ON tickets.customer_id = customers.customer_id"]


@st.composite
def queries(draw: st.DrawFn) -> str:
    """SELECT blocks, perhaps inside another one, in the user's words."""
    where = draw(st.lists(st.sampled_from(CONJUNCTS), min_size=0, max_size=4, unique=True))
    items = ["id", *draw(st.lists(st.sampled_from(ITEMS), min_size=0, max_size=3, unique=True))]
    sql = f"SELECT {', '.join(items)} FROM {draw(st.sampled_from(TABLES))}"
    sql += f" WHERE {' AND '.join(where)}" if where else ""
    sql += draw(st.sampled_from(TAILS))
    assume("LLM_" in sql)
    wrap = draw(st.sampled_from(["{}", "{}", "SELECT count(*) AS n, max(id) FROM ({}) AS q"]))
    return wrap.format(sql)


@given(queries())
@settings(max_examples=60, deadline=None)
def test_bound_queries_keep_rows_and_ask_nothing_new(sql: str) -> None:
    with tables().cursor() as connection:
        plan = naive_plan(sql, connection)
    check(plan, ORDER)
