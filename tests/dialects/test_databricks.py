"""Databricks' forms: what they are rewritten to, what they give, and that they ask what the canonical call asks."""

from __future__ import annotations

import pytest

from anserdb.engine.errors import BindError, ModelError

from .conftest import Bench

GOLDEN = [
    (
        "ai_query('known', named_struct('text', body, 'place', city), returnType => 'FLOAT', failOnError => true)",
        "LLM_COMPLETE('Give the answer that {0} asks for.', {'text': body, 'place': city}, returns := 'FLOAT', "
        "model := 'known', on_error := 'fail')",
    ),
    (
        "ai_query('known', 'Hi ' || body, responseFormat => '{\"type\": \"text\"}')",
        "LLM_COMPLETE('Hi {0}', body, model := 'known', on_error := 'fail')",
    ),
    (
        "ai_query('known', 'Hi ' || body, responseFormat => '{\"type\": \"json_object\"}')",
        "CAST(to_json(LLM_COMPLETE('Hi {0}', body, returns := 'JSON', model := 'known', on_error := 'fail')) AS VARCHAR)",
    ),
    (
        "ai_query('known', 'Fix: ' || body, failOnError => true)",
        "LLM_COMPLETE('Fix: {0}', body, model := 'known', on_error := 'fail')",
    ),
    (
        "ai_query('known', request => body, returnType => 'ARRAY<STRING>', on_error := 'null')",
        "LLM_COMPLETE('Give the answer that {0} asks for.', body, returns := 'VARCHAR[]', model := 'known', on_error := 'null')",
    ),
    (
        "ai_query('known', 'Hi', modelParameters => named_struct('max_tokens', 5, 'temperature', 0.5))",
        "LLM_COMPLETE('Hi', max_tokens := 5, temperature := 0.5, model := 'known', on_error := 'fail')",
    ),
    (
        "ai_query('known', 'Hi', responseFormat => 'STRUCT<a: INT>')",
        "CAST(to_json(LLM_COMPLETE('Hi', returns := 'STRUCT(a INTEGER)', model := 'known', on_error := 'fail')) AS VARCHAR)",
    ),
    (
        'ai_query(\'known\', \'Hi\', responseFormat => \'{"type": "json_schema", "json_schema": {"schema": {"type": "object", '
        '"properties": {"a": {"type": "integer"}}}}}\')',
        "CAST(to_json(LLM_COMPLETE('Hi', returns := 'STRUCT(\"a\" BIGINT)', model := 'known', on_error := 'fail')) AS VARCHAR)",
    ),
    ("ai_classify(body, array('a', city))", "LLM_CLASSIFY(body, ['a', city])"),
    ('ai_classify(body, \'["a", "b"]\')', "LLM_CLASSIFY(body, ['a', 'b'])"),
    ('ai_classify(body, \'{"a": "is it?", "b": ""}\')', "LLM_CLASSIFY(body, {'a': 'is it?', 'b': ''})"),
    ("ai_extract(body, array('what', 'n'))", "LLM_EXTRACT(body, 'STRUCT(what VARCHAR, n VARCHAR)')"),
    ("ai_extract(body, ['what', 'n'])", "LLM_EXTRACT(body, 'STRUCT(what VARCHAR, n VARCHAR)')"),
    ("ai_gen('Say {hi} to ' || body)", "LLM_COMPLETE('Say {{hi}} to {0}', body)"),
    (
        "ai_summarize(body)",
        "LLM_COMPLETE('Summarize the input in at most 50 words. Answer with the summary only.', body)",
    ),
    ("ai_summarize(body, 0)", "LLM_COMPLETE('Summarize the input. Answer with the summary only.', body)"),
    ("ai_mask(body, array('NAME'))", "LLM_REDACT(body, ['NAME'])"),
]


@pytest.mark.parametrize(("written", "ours"), GOLDEN)
def test_what_it_is_rewritten_to(bench: Bench, written: str, ours: str) -> None:
    assert bench.expression(written) == ours


RUN = [pair for pair in GOLDEN if "city" not in pair[0] and "mask" not in pair[0]]


@pytest.mark.parametrize(("written", "ours"), RUN)
def test_it_gives_what_the_canonical_call_gives(bench: Bench, written: str, ours: str) -> None:
    found, expected = bench.ask(written), bench.ask(ours)
    assert (found.types, found.rows, found.asked) == (expected.types, expected.rows, expected.asked)


@pytest.mark.parametrize(
    "written",
    ["ai_similarity(body, city)", "ai_translate(body, 'de')", "ai_fix_grammar(body)", "ai_analyze_sentiment(body)"],
)
def test_what_ours_answer_to_as_it_is(bench: Bench, written: str) -> None:
    assert bench.expression(written) == written
    assert len(bench.ask(written).rows) == 3


def test_errors_as_values(bench: Bench) -> None:
    call = "ai_query('known', 'Count ' || body, returnType => 'INT', failOnError => false)"
    found = bench.ask(call)
    ours = bench.ask("LLM_COMPLETE('Count {0}', body, returns := 'INTEGER')")
    assert found.types == ["STRUCT(result INTEGER, errorMessage VARCHAR)"]
    assert [row for (row,) in found.rows] == [
        v if v is None else {"result": v, "errorMessage": None} for (v,) in ours.rows
    ]
    assert bench.failing(call) == {"result": None, "errorMessage": "no answer to this"}


def test_a_failed_row_fails_the_query(bench: Bench) -> None:
    with pytest.raises(ModelError, match="no answer to this"):
        bench.failing("ai_query('known', 'Count ' || body)")


def test_json_text_as_a_value(bench: Bench) -> None:
    found = bench.ask("ai_query('known', 'Hi ' || body, responseFormat => 'STRUCT<a: INT>', failOnError => false)")
    assert found.types == ["STRUCT(result VARCHAR, errorMessage VARCHAR)"]
    assert found.rows[0][0]["result"].startswith('{"a":')


def test_classification_with_options(bench: Bench) -> None:
    call = "ai_classify(body, array('a', 'b'), map('multilabel', '{}', 'instructions', 'x', 'version', '2'))"
    single, many = bench.ask(call.format("false")), bench.ask(call.format("true"))
    labels = [label for (label,) in bench.ask("LLM_CLASSIFY(body, ['a', 'b'], instructions := 'x')").rows]
    lists = [found for (found,) in bench.ask("LLM_CLASSIFY(body, ['a', 'b'], multi := true, instructions := 'x')").rows]
    assert single.types == many.types == ["STRUCT(response VARCHAR[], error_message VARCHAR)"]
    assert [row and row["response"] for (row,) in single.rows] == [label and [label] for label in labels]
    assert [row and row["response"] for (row,) in many.rows] == lists
    assert single.notices == ["version of Databricks has no meaning here and is ignored."]
    assert bench.failing(call.format("true")) == {"response": None, "error_message": "no answer to this"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("ai_query('known')", "request is missing"),
        (
            "ai_query('known', 'Hi', retrunType => 'INT')",
            "it takes endpoint, request, returnType, .* Did you mean returnType",
        ),
        ("ai_summarize(body, 'short')", "whole number of words"),
        ("ai_extract(body, array(city))", "must be a constant"),
        ("ai_classify(body, '[a, b')", "JSON text"),
    ],
)
def test_mistakes(bench: Bench, written: str, message: str) -> None:
    with pytest.raises(BindError, match=message):
        bench.ask(written)
