"""Where calls stand in a text."""

from __future__ import annotations

import pytest

from anserdb.engine.errors import BindError
from anserdb.engine.sql.locate import LocatedCall, locate, mentions
from anserdb.engine.sql.tokens import Text
from anserdb.udfs.functions import functions


def located(sql: str) -> tuple[Text, list[LocatedCall]]:
    text = Text(sql)
    return text, locate(text, text.all(), functions())


def test_a_call_is_cut_into_its_parts() -> None:
    text, (call,) = located("SELECT ai_complete('a, b', f(x, y), Model := 'm', \"returns\" => 'INTEGER') FROM t")
    assert call.function.sql_name == "LLM_COMPLETE"
    assert [text.source(a) for a in call.arguments] == ["'a, b'", "f(x, y)"]
    assert {n: text.source(v) for n, v in call.options.items()} == {"model": "'m'", "returns": "'INTEGER'"}
    assert text.source(call.whole).startswith("ai_complete(")


def test_an_aggregate_has_modifiers() -> None:
    text, (call,) = located("SELECT LLM_SUMMARIZE(DISTINCT a ORDER BY b DESC) FILTER (WHERE c > 1) FROM t")
    assert call.distinct
    assert text.source(call.order_by) == "b DESC"
    assert text.source(call.filter) == "c > 1"
    assert text.source(call.whole).endswith("c > 1)")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'LLM_FILTER(a, b)'",
        'SELECT "LLM_FILTER"(a, b)',
        "SELECT s.LLM_FILTER(a, b)",
        "SELECT LLM_FILTER FROM t",
        "SELECT 1 -- LLM_FILTER(a, b)",
    ],
)
def test_what_only_looks_like_a_call_is_none(sql: str) -> None:
    assert mentions(sql, functions())
    assert located(sql)[1] == []


def test_inner_calls_are_found_too() -> None:
    _, found = located("SELECT LLM_COMPLETE('a', LLM_COMPLETE('b', x)), (SELECT LLM_FILTER('c', y))")
    assert [c.function.sql_name for c in found] == ["LLM_COMPLETE", "LLM_COMPLETE", "LLM_FILTER"]


def test_plain_sql_is_not_tokenised() -> None:
    assert not mentions("SELECT filter(x) FROM t", functions())


@pytest.mark.parametrize(
    ("sql", "message", "place"),
    [
        ("SELECT LLM_FLTER('x', a)", "Did you mean LLM_FILTER", "LLM_FLTER"),
        ("SELECT LLM_FILTER('x', a) OVER ()", "OVER", "LLM_FILTER('x', a)"),
        ("SELECT LLM_FILTER('x', a) FILTER (WHERE b)", "not an aggregate", "LLM_FILTER('x', a) FILTER (WHERE b)"),
        ("SELECT LLM_FILTER('x', model := 'm', a)", "cannot follow a named one", "a"),
        ("SELECT LLM_FILTER('x', model := 'm', model := 'n')", "given twice", "model := 'n'"),
        ("SELECT LLM_FILTER('x',, a)", "missing here", ","),
    ],
)
def test_mistakes_are_placed(sql: str, message: str, place: str) -> None:
    with pytest.raises(BindError, match=message) as caught:
        located(sql)
    position = caught.value.position
    assert position is not None
    assert sql[position.start : position.end] == place


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE llm_log (a INT)", "INSERT INTO llm_log (a) VALUES (1)", "CREATE INDEX i ON llm_log (a)"]
)
def test_tables_may_have_names_like_ours(sql: str) -> None:
    text = Text(sql)
    assert locate(text, text.all(), functions()) == []
