"""Snowflake's forms: what they are rewritten to, what they give, and that they ask what the canonical call asks."""

from __future__ import annotations

import pytest

from anserdb.engine.errors import BindError

from .conftest import Bench

GOLDEN = [
    ("AI_FILTER(PROMPT('Is {0} in {1}? {{x}}', body, city))", "LLM_FILTER('Is {0} in {1}? {{x}}', body, city)"),
    ("AI_FILTER('Is this rude? ' || body)", "LLM_FILTER('Is this rude? {0}', body)"),
    ("AI_FILTER(CONCAT('Is ', body, ' rude?'))", "LLM_FILTER('Is {0} rude?', body)"),
    ("AI_FILTER('rude', body, TRUE)", "LLM_FILTER('rude', body, on_error := 'details')"),
    ("AI_FILTER('rude', body, return_error_details => FALSE)", "LLM_FILTER('rude', body)"),
    ("AI_COMPLETE('known', 'Say {this} to ' || body)", "LLM_COMPLETE('Say {{this}} to {0}', body, model := 'known')"),
    ("AI_COMPLETE('claude-4', body)", "LLM_COMPLETE('Give the answer that {0} asks for.', body)"),
    ("AI_COMPLETE(model => 'known', prompt => 'Hi')", "LLM_COMPLETE('Hi', model := 'known')"),
    (
        "AI_COMPLETE('known', 'Hi', {'temperature': 0.5, 'max_tokens': 9, 'guardrails': true})",
        "LLM_COMPLETE('Hi', temperature := 0.5, max_tokens := 9, model := 'known')",
    ),
    (
        "AI_COMPLETE('known', 'Hi', response_format => {'type': 'json', 'schema': {'type': 'object', "
        "'properties': {'n': {'type': 'integer'}}}})",
        "LLM_COMPLETE('Hi', returns := 'STRUCT(\"n\" BIGINT)', model := 'known')",
    ),
    (
        "AI_COMPLETE('known', 'Hi', response_format => TYPE OBJECT(name STRING NOT NULL, of ARRAY(OBJECT(n NUMBER))))",
        "LLM_COMPLETE('Hi', returns := 'STRUCT(\"name\" VARCHAR, \"of\" STRUCT(n DECIMAL(38,0))[])', model := 'known')",
    ),
    ("AI_REDACT(input => body, categories => ['NAME'])", "LLM_REDACT(body, ['NAME'])"),
    ("AI_AGG(body, 'Why?', return_error_details => TRUE)", "LLM_AGG(body, 'Why?', on_error := 'details')"),
    (
        "AI_SUMMARIZE_AGG(DISTINCT body, TRUE ORDER BY id) FILTER (WHERE id > 1)",
        "LLM_SUMMARIZE(DISTINCT body, on_error := 'details' ORDER BY id) FILTER (WHERE id > 1)",
    ),
    ("AI_EMBED('known-embed', body)", "LLM_EMBED(body, model := 'known-embed')"),
    ("AI_SIMILARITY(body, city, {'model': 'known-embed'})", "LLM_SIMILARITY(body, city, model := 'known-embed')"),
    ("AI_TRANSLATE(body, 'en', 'de')", "LLM_TRANSLATE(body, 'de', from_language := 'en')"),
    ("AI_TRANSLATE(body, '', 'de')", "LLM_TRANSLATE(body, 'de')"),
    ("AI_SENTIMENT(body, return_error_details => TRUE)", "LLM_SENTIMENT(body, on_error := 'details')"),
    ("AI_REDACT(body, ['NAME'], TRUE)", "LLM_REDACT(body, ['NAME'], on_error := 'details')"),
    ("AI_COUNT_TOKENS('known', body)", "LLM_COUNT_TOKENS(body, model := 'known')"),
    ("AI_COUNT_TOKENS('ai_complete', 'known', body)", "LLM_COUNT_TOKENS(body, model := 'known')"),
]


@pytest.mark.parametrize(("written", "ours"), GOLDEN)
def test_what_it_is_rewritten_to(bench: Bench, written: str, ours: str) -> None:
    assert bench.expression(written) == ours


# what ends in an aggregate cannot be asked per ticket; the model of these tests has no tokenizer, and no spans
RUN = [pair for pair in GOLDEN if not any(word in pair[0] for word in ("_AGG", "REDACT", "TOKENS"))]


@pytest.mark.parametrize(("written", "ours"), RUN)
def test_it_gives_what_the_canonical_call_gives(bench: Bench, written: str, ours: str) -> None:
    found, expected = bench.ask(written), bench.ask(ours)
    assert (found.types, found.rows, found.asked) == (expected.types, expected.rows, expected.asked)


@pytest.mark.parametrize(
    "written",
    [
        "AI_COMPLETE('Summarize.', body)",
        "AI_COMPLETE('Hi', model := 'known')",
        "AI_CLASSIFY(body, ['a', 'b'])",
        "AI_EXTRACT(body, {a: 'VARCHAR'})",
        "AI_SENTIMENT(body)",
        "AI_EMBED(body)",
        "AI_FILTER('{body} is rude')",
    ],
)
def test_what_ours_answer_to_as_it_is(bench: Bench, written: str) -> None:
    assert bench.expression(written) == written


def test_labels_come_as_an_object(bench: Bench) -> None:
    single = bench.ask("AI_CLASSIFY(body, [{'label': 'a', 'description': 'is it a?'}, {'label': 'b'}])")
    ours = bench.ask("LLM_CLASSIFY(body, {'a': 'is it a?', 'b': ''})")
    assert single.types == ["STRUCT(labels VARCHAR[])"]
    assert single.rows == [(None if label is None else {"labels": [label]},) for (label,) in ours.rows]
    assert single.asked == ours.asked
    many = bench.ask(
        "AI_CLASSIFY(body, ['a', 'b', 'c'], {'output_mode': 'multi', 'task_description': 'x', 'examples': []})"
    )
    ours = bench.ask("LLM_CLASSIFY(body, ['a', 'b', 'c'], multi := true, instructions := 'x')")
    assert many.rows == [(None if labels is None else {"labels": labels},) for (labels,) in ours.rows]
    assert many.asked == ours.asked
    assert many.notices == ["examples of Snowflake has no meaning here and is ignored."]


def test_a_prompt_is_a_text_to_classify(bench: Bench) -> None:
    found = bench.ask("AI_CLASSIFY(PROMPT('In {1}: {0}', body, city), ['a', 'b'])")
    ours = bench.ask("LLM_CLASSIFY('In ' || city || ': ' || body, ['a', 'b'])")
    assert [row and row["labels"] for (row,) in found.rows] == [label and [label] for (label,) in ours.rows]


def test_errors_as_values(bench: Bench) -> None:
    assert bench.failing("AI_FILTER(PROMPT('Is {0} rude?', body), return_error_details => TRUE)") == {
        "value": None,
        "error": "no answer to this",
    }
    assert bench.failing("AI_CLASSIFY(body, ['a', 'b'], return_error_details => TRUE)") == {
        "value": {"labels": None},
        "error": "no answer to this",
    }
    assert bench.failing("AI_FILTER('Rude? ' || body)") is None


@pytest.mark.parametrize(
    "fields",
    ["{'what': 'What is it?', 'n': 'How many?'}", "[['what', 'What is it?'], ['n', 'How many?']]"],
)
def test_extraction_by_questions(bench: Bench, fields: str) -> None:
    found = bench.ask(f"AI_EXTRACT(text => body, responseFormat => {fields})")
    assert found.types == ['STRUCT(response STRUCT(what VARCHAR, n VARCHAR), "error" VARCHAR)']
    assert found.rows[2] == (None,)
    assert all(row["response"]["what"] and row["error"] is None for (row,) in found.rows[:2])
    assert all("- n: How many?" in request.system for request in found.asked)  # type: ignore[union-attr]
    assert found.rows == bench.ask(f"AI_EXTRACT(body, {fields})").rows
    assert bench.failing(f"AI_EXTRACT(body, {fields})") == {"response": None, "error": "no answer to this"}


def test_extraction_by_a_schema(bench: Bench) -> None:
    schema = "{'schema': {'type': 'object', 'properties': {'n': {'type': 'integer'}}}}"
    assert bench.ask(f"AI_EXTRACT(text => body, responseFormat => {schema})").types == [
        'STRUCT(response STRUCT(n BIGINT), "error" VARCHAR)'
    ]


def test_extraction_says_what_the_schema_says_of_its_fields(bench: Bench) -> None:
    schema = """{'schema': {'type': 'object', 'properties': {'staff': {'description': 'Who {works} there?', 'type': 'array'},
        'place': {'type': 'object', 'properties': {'town': {'type': 'string', 'description': 'Which town?'}}}}}}"""
    found = bench.ask(f"AI_EXTRACT(text => body, responseFormat => {schema})")
    assert found.types == ['STRUCT(response STRUCT(staff VARCHAR[], place STRUCT(town VARCHAR)), "error" VARCHAR)']
    for request in found.asked:
        assert "- staff: Who {works} there?\n- place.town: Which town?" in request.system  # type: ignore[union-attr]


def test_sentiments_by_aspect(bench: Bench) -> None:
    found = bench.ask("AI_SENTIMENT(body, ['price', 'staff'])")
    ours = bench.ask("LLM_SENTIMENT(body, aspects := ['overall', 'price', 'staff'])")
    assert found.types == ['STRUCT(categories STRUCT("name" VARCHAR, sentiment VARCHAR)[])']
    assert found.asked == ours.asked
    for (row,), (answer,) in zip(found.rows, ours.rows, strict=True):
        expected = None if answer is None else [{"name": n, "sentiment": s or "unknown"} for n, s in answer.items()]
        assert (row and row["categories"]) == expected


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("AI_COMPLETE('known', 'Hi', {'temperature': 3})", "from 0 to 2"),
        ("AI_COMPLETE('known', 'Hi', 3)", "{'name': value"),
        ("AI_COMPLETE('known', 'Hi', response_format => 'x')", "JSON schema"),
        ("AI_COMPLETE('known', 'Hi', response_format => TYPE NOPE(a b))", "not a DuckDB type"),
        ("AI_CLASSIFY(body, [{'name': 'a'}], {'output_mode': 'multi'})", "needs a label"),
        ("AI_EXTRACT(body, [['a']])", "pairs of a name and a question"),
        ("AI_SENTIMENT(body, 'price')", "a list of aspects"),
    ],
)
def test_mistakes(bench: Bench, written: str, message: str) -> None:
    with pytest.raises(BindError, match=message):
        bench.ask(written)
