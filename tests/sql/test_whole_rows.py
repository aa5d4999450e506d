"""What of a row stands in a prompt: the fields that an instruction names, and what is passed; nothing else."""

from __future__ import annotations

import pytest

import anserdb
from anserdb.udfs.models.scripted import ScriptedModel


@pytest.mark.parametrize(
    ("call", "inputs"),
    [
        ("LLM_FILTER('is {t.a} kind')", "A: hello"),
        ("LLM_FILTER('is {a} kind')", "A: hello"),
        ("LLM_FILTER('is {s.x} kind')", "X: inner"),
        ("LLM_FILTER('is it kind', s)", 'S: {"x": "inner", "y": "other"}'),
        ("LLM_FILTER('is it kind', {a: t.a})", 'Text: {"a": "hello"}'),
    ],
)
def test_fields_that_nobody_names_are_not_in_the_prompt(call: str, inputs: str) -> None:
    model = ScriptedModel(name="seen")
    with anserdb.connect(store=":memory:", llm_model="seen") as con:
        con.register_model("seen", model)
        con.sql("CREATE TABLE t AS SELECT 1 AS id, 'hello' AS a, 'SECRET' AS b, {x: 'inner', y: 'other'} AS s")
        result = con.sql(f"SELECT {call} FROM t")
        assert result is not None
        result.fetchall()
    asked = [r.user for r in model.calls if r.kind == "generate"]
    assert asked[-1].rpartition("\n\n")[2] == inputs
    assert not any("SECRET" in text for text in asked)
