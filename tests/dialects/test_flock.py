"""Flock's forms: what they are rewritten to, what they give, and that they ask what the canonical call asks."""

from __future__ import annotations

import json

import pytest

from anserdb.engine.errors import BindError, ModelError

from .conftest import Bench

MODEL = "{'model_name': 'known'}"
EMBED = "{'model_name': 'known-embed'}"
BODY = "'context_columns': [{'data': body, 'name': 'text'}]"
TWO = "'context_columns': [{'data': body}, {'data': city, 'name': 'place', 'type': 'tabular'}]"
OPTIONS = "model := 'known', on_error := 'fail'"

GOLDEN = [
    (
        f"llm_filter({MODEL}, {{'prompt': 'Is {{text}} rude?', {BODY}}})",
        f"LLM_FILTER('Is {{0}} rude?', body, {OPTIONS})",
    ),
    (
        f"llm_filter({MODEL}, {{'prompt': 'Is it in {{place}}?'}}, {{'body': body, 'place': city}})",
        f"LLM_FILTER('Is it in {{1}}?', body, city, {OPTIONS})",
    ),
    (
        f"llm_complete({MODEL}, {{'prompt': 'Say {{body}}', {TWO}}})",
        f"LLM_COMPLETE('Say {{0}}', body, city, {OPTIONS})",
    ),
    (f"llm_complete({MODEL}, {{'prompt': 'Hi {{}} {{x}}'}})", f"LLM_COMPLETE('Hi {{{{}}}} {{{{x}}}}', {OPTIONS})"),
    (
        f"llm_complete({{'model_name': 'known', 'model_parameters': {{'temperature': 0.5}}}}, {{'prompt': 'Hi', {BODY}}})",
        "LLM_COMPLETE('Hi', body, model := 'known', temperature := 0.5, on_error := 'fail')",
    ),
    (
        f"llm_complete({{'model_name': 'known', 'model_parameters': '{{\"temperature\": 0.5}}'}}, {{'prompt': 'Hi', {BODY}}})",
        "LLM_COMPLETE('Hi', body, model := 'known', temperature := 0.5, on_error := 'fail')",
    ),
    (f"llm_embedding({EMBED}, {{{BODY}}})", "LLM_EMBED(body, model := 'known-embed', on_error := 'fail')"),
    (
        f"llm_embedding({EMBED}, {{{TWO}}})",
        "LLM_EMBED(concat_ws(' ', body, city), model := 'known-embed', on_error := 'fail')",
    ),
]

AGGREGATES = [
    (
        f"llm_reduce({MODEL}, {{'prompt': 'Why {{x}}?', {BODY}}}) FILTER (WHERE id < 4)",
        f"LLM_AGG(body, 'Why {{x}}?', {OPTIONS}) FILTER (WHERE id < 4)",
    ),
    (
        f"llm_reduce({MODEL}, {{'prompt': 'Why?', {TWO}}})",
        f"LLM_AGG({{'body': body, 'place': city}}, 'Why?', {OPTIONS})",
    ),
    (
        f"llm_first({MODEL}, {{'prompt': 'rude', {BODY}}})",
        f"arg_max(to_json({{'text': body}}), LLM_SCORE('rude', body, {OPTIONS}))",
    ),
    (
        f"llm_last({MODEL}, {{'prompt': 'rude', {BODY}}})",
        f"arg_min(to_json({{'text': body}}), LLM_SCORE('rude', body, {OPTIONS}))",
    ),
    (
        f"llm_rerank({MODEL}, {{'prompt': 'rude', {BODY}}})",
        f"to_json(list({{'text': body}} ORDER BY LLM_SCORE('rude', body, {OPTIONS}) DESC))",
    ),
]


@pytest.mark.parametrize(("written", "ours"), GOLDEN + AGGREGATES)
def test_what_it_is_rewritten_to(bench: Bench, written: str, ours: str) -> None:
    assert bench.expression(written) == ours


@pytest.mark.parametrize(("written", "ours"), GOLDEN)
def test_it_gives_what_the_canonical_call_gives(bench: Bench, written: str, ours: str) -> None:
    found, expected = bench.ask(written), bench.ask(ours)
    assert (found.types, found.rows, found.asked) == (expected.types, expected.rows, expected.asked)


@pytest.mark.parametrize(("written", "ours"), AGGREGATES)
def test_an_aggregate_gives_what_the_canonical_call_gives(bench: Bench, written: str, ours: str) -> None:
    source = "FROM (SELECT * FROM tickets WHERE id < 3)"
    found, expected = bench.run(f"SELECT {written} AS x {source}"), bench.run(f"SELECT {ours} AS x {source}")
    assert (found.types, found.rows, found.asked) == (expected.types, expected.rows, expected.asked)


def test_the_first_row_is_the_first_of_the_ranking(bench: Bench) -> None:
    given = f"({MODEL}, {{'prompt': 'rude', {BODY}}})"
    three = ", ".join(f"llm_{name}{given}" for name in ("first", "last", "rerank"))
    [(first, last, ranked)] = bench.run(f"SELECT {three} FROM tickets WHERE id < 3").rows
    assert [json.loads(first), json.loads(last)] == json.loads(ranked)


def test_a_failed_row_fails_the_query(bench: Bench) -> None:
    with pytest.raises(ModelError, match="no answer to this"):
        bench.failing(GOLDEN[0][0])


def test_our_own_functions_of_the_same_name_are_no_forms(bench: Bench) -> None:
    assert bench.expression("llm_filter('Is it rude?', body)") == "llm_filter('Is it rude?', body)"


def test_settings_of_the_model_are_ignored_with_a_notice(bench: Bench) -> None:
    found = bench.ask(f"llm_complete({{'model_name': 'known', 'secret_name': 's'}}, {{'prompt': 'Hi', {BODY}}})")
    assert found.notices == ["secret_name of Flock has no meaning here and is ignored."]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (f"llm_filter({MODEL}, {{{BODY}}})", "needs {'prompt'"),
        (f"llm_filter({MODEL}, {{'prompt_name': 'p', {BODY}}})", "is {'prompt': '@p'}"),
        (f"llm_complete({MODEL}, {{'prompt': 'x', 'context_columns': [{{'name': 'a'}}]}})", "needs its data"),
        (f"llm_first({MODEL}, {{'prompt': 'x'}})", "needs context_columns"),
        (f"llm_embedding({EMBED}, {{'prompt': 'x'}})", "needs context_columns"),
        (
            f"llm_complete({MODEL}, {{'prompt': 'x', 'context_columns': [{{'data': body, 'type': 'image'}}]}})",
            "images and audio",
        ),
        (f"llm_filter({MODEL}, 'x')", "{'name': value"),
    ],
)
def test_mistakes(bench: Bench, written: str, message: str) -> None:
    with pytest.raises(BindError, match=message):
        bench.ask(written)


def test_a_prompt_of_ours_by_name(bench: Bench) -> None:
    bench.connection.sql("CREATE OR REPLACE PROMPT kind AS 'Answer kindly'")
    found = bench.ask(f"llm_complete({MODEL}, {{'prompt': '@kind', {BODY}}})")
    assert found.asked == bench.ask("LLM_COMPLETE('Answer kindly', body)").asked
