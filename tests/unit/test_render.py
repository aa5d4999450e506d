"""Plans as text and as JSON."""

from __future__ import annotations

import json

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
    Sort,
    Source,
    SourceItem,
)
from anserdb.engine.plan.render import MAX_WIDTH, nodes_with_paths, render, shorten, to_json

ID, BODY, YEAR = Column("__c1", "INTEGER", "id"), Column("__c2", "VARCHAR", "body"), Column("__c3", "INTEGER", "year")
GUARD, ANGRY = Column("__g1", "BOOLEAN", "year > 2020"), Column("__s1", "BOOLEAN", "LLM_FILTER('angry', body)")


def plan() -> Relation:
    items = tuple(SourceItem(c.label, (c,)) for c in (ID, BODY, YEAR))
    base: Plan = Sort(Source("", "tickets", items), Expr("__c1 DESC", frozenset({"__c1"}), "id DESC"))
    guarded = Compute(base, (Computed(GUARD, Expr("__c3 > 2020", frozenset({"__c3"}), "year > 2020")),))
    call = SemanticCall(
        "1:LLM_FILTER", "LLM_FILTER", ("angry", None), ("__c2",), ("VARCHAR",) * 2, ("'angry'", "body"),
        {"model": "small", "on_error": "null"}, "__g1", ANGRY, distinct=True,
    )  # fmt: skip
    angry = Filter(Call(Keep(guarded, ("__c1", "__c2", "__g1")), call), Expr("__s1", frozenset({"__s1"}), ANGRY.label))
    sql = "SELECT __c1 AS id, __s1 AS angry, '__c1' AS \"__c2\" FROM __in9 LIMIT 10"
    return Relation(sql, (Input("__in9", Demand(angry, 1200)),), (ID,), frozenset({"__c1", "__s1"}), limit=10)


def test_the_tree() -> None:
    assert render(plan()) == "\n".join(
        [
            "Relation  SELECT id, LLM_FILTER('angry', body) AS angry, '__c1' AS \"__c2\" FROM __in9 LIMIT 10",
            "└─ Demand  1,200 rows, in waves",
            "   └─ Filter  LLM_FILTER('angry', body)",
            "      └─ Call  1:LLM_FILTER  model=small  distinct  when year > 2020",
            "         └─ Keep  id, body, year > 2020",
            "            └─ Compute  year > 2020",
            "               └─ Sort  id DESC",
            "                  └─ Source  tickets  [id, body, year]",
        ]
    )


def test_notes_stand_under_their_node_and_keep_the_tree_in_one_piece() -> None:
    shown = render(plan(), {(): ["rows≈10"], (0, 0, 0): ["calls≈50 (prior)", "actual: 48"], (0,) * 7: ["rows≈8"]})
    lines = shown.splitlines()
    assert lines[1] == "│    rows≈10"
    assert lines[5:7] == ["         │    calls≈50 (prior)", "         │    actual: 48"]
    assert lines[-1] == "                          rows≈8"


def test_several_inputs_are_named_and_joined_by_a_bar() -> None:
    both = (Input("__in1", Source("", "a", (SourceItem("id", (ID,)),), limit=5)), Input("__in2", Source("", "b", ())))
    assert render(Relation("SELECT 1", both, ())) == "\n".join(
        ["Relation  SELECT 1", "├─ __in1 = Source  a  [id]  first 5 rows", "└─ __in2 = Source  b  []"]
    )


def test_long_sql_is_one_short_line() -> None:
    long = Relation(f"SELECT\n  {', '.join(f'column_{i}' for i in range(50))}\nFROM t", (), ())
    text = render(long)
    assert "\n" not in text
    assert len(text.removeprefix("Relation  ")) <= MAX_WIDTH
    assert text.endswith("…")
    assert shorten("x" * MAX_WIDTH) == "x" * MAX_WIDTH


def test_paths_address_every_node() -> None:
    found = dict(nodes_with_paths(plan()))
    assert [type(found[(0,) * depth]).__name__ for depth in range(8)] == [
        "Relation", "Demand", "Filter", "Call", "Keep", "Compute", "Sort", "Source",
    ]  # fmt: skip


def test_json_holds_the_tree_the_columns_and_the_notes() -> None:
    shown = json.loads(to_json(plan(), {(0, 0, 0): ["calls≈50"]}))
    call = shown["inputs"][0]["inputs"][0]["inputs"][0]
    assert call["node"] == "Call"
    assert call["site"] == "1:LLM_FILTER"
    assert call["options"] == {"model": "small", "on_error": "null"}
    assert (call["guard"], call["distinct"], call["notes"]) == ("__g1", True, ["calls≈50"])
    assert shown["columns"] == [{"name": "__c1", "type": "INTEGER", "label": "id"}]
    assert "notes" not in shown


def test_json_survives_constants_that_json_lacks() -> None:
    call = SemanticCall("1:F", "F", (object(),), (), (), (), {"model": object()}, None, ANGRY)
    assert json.loads(to_json(Call(Source("", "t", ()), call)))["node"] == "Call"
