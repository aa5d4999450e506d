"""BigQuery's forms: what they are rewritten to, what they give, and that they ask what the canonical call asks."""

from __future__ import annotations

import pytest

from anserdb.engine.errors import BindError

from .conftest import Bench

GOLDEN = [
    ("AI.IF(('Is ', body, ' in ', city, '?'))", "LLM_FILTER('Is {0} in {1}?', body, city)"),
    ("ai.if(prompt => ('Is this rude? ', body))", "LLM_FILTER('Is this rude? {0}', body)"),
    ("AI.IF(STRUCT('Is this rude?' AS question, body))", "LLM_FILTER('Is this rude? {0}', body)"),
    (
        'AI.IF((\'Rude? \', body), model_params => JSON \'{"generation_config": {"temperature": 0, "maxOutputTokens": 9}}\')',
        "LLM_FILTER('Rude? {0}', body, temperature := 0, max_tokens := 9)",
    ),
    (
        "AI.IF(('In ', (SELECT max(city) FROM tickets), '? ', body))",
        "LLM_FILTER('In {0}? {1}', (SELECT max(city) FROM tickets), body)",
    ),
    ("AI.IF('Is it so?')", "LLM_FILTER('Is it so?')"),
    ("AI.IF(body)", "LLM_FILTER(body)"),
    ("AI.IF(('x ', body), endpoint => 'known')", "LLM_FILTER('x {0}', body, model := 'known')"),
    ("AI.IF(('x ', body), on_error := 'fail')", "LLM_FILTER('x {0}', body, on_error := 'fail')"),
    ("AI.SCORE(('How rude is this? ', body))", "LLM_SCORE('How rude is this? {0}', body)"),
    ("AI.CLASSIFY(body, categories => ['a', 'b'])", "LLM_CLASSIFY(body, ['a', 'b'])"),
    ("AI.CLASSIFY(body, [('a', 'is it a?'), ('b', 'or b?')])", "LLM_CLASSIFY(body, {'a': 'is it a?', 'b': 'or b?'})"),
    ("AI.CLASSIFY(body, ['a', 'b'], output_mode => 'multi')", "LLM_CLASSIFY(body, ['a', 'b'], multi := true)"),
    (
        "AI.CLASSIFY(('The {topic} of ', body), ['a', 'b'])",
        "LLM_CLASSIFY(body, ['a', 'b'], instructions := 'The {topic} of')",
    ),
    (
        "AI.IF(('Rude? ', body), examples => [('damn', true), ('dear', false)])",
        "LLM_FILTER('Rude? {0}', body, examples := [{'input': 'damn', 'output': true}, {'input': 'dear', 'output': false}])",
    ),
    ("AI.SIMILARITY(body, city, endpoint => 'known-embed')", "LLM_SIMILARITY(body, city, model := 'known-embed')"),
    ("AI.AGG(body, 'Why?')", "LLM_AGG(body, 'Why?')"),
]


@pytest.mark.parametrize(("written", "ours"), GOLDEN)
def test_what_it_is_rewritten_to(bench: Bench, written: str, ours: str) -> None:
    assert bench.expression(written) == ours


@pytest.mark.parametrize(("written", "ours"), GOLDEN[:-1])
def test_it_gives_what_the_canonical_call_gives(bench: Bench, written: str, ours: str) -> None:
    found, expected = bench.ask(written), bench.ask(ours)
    assert (found.types, found.rows, found.asked) == (expected.types, expected.rows, expected.asked)


TYPED = [
    ("GENERATE", "VARCHAR"),
    ("GENERATE_BOOL", "BOOLEAN"),
    ("GENERATE_INT", "BIGINT"),
    ("GENERATE_DOUBLE", "DOUBLE"),
]


@pytest.mark.parametrize(("name", "kind"), TYPED)
def test_an_answer_has_a_status(bench: Bench, name: str, kind: str) -> None:
    found = bench.ask(f"AI.{name}(('What is ', body))")
    ours = bench.ask(f"LLM_COMPLETE('What is {{0}}', body, returns := '{kind}')")
    assert found.types == [f"STRUCT(result {kind}, full_response JSON, status VARCHAR)"]
    expected = [v if v is None else {"result": v, "full_response": None, "status": ""} for (v,) in ours.rows]
    assert [row for (row,) in found.rows] == expected
    assert found.asked == ours.asked
    failed = bench.failing(f"AI.{name}(('What is ', body))")
    assert failed == {"result": None, "full_response": None, "status": "no answer to this"}


def test_a_schema_has_its_fields_beside_the_status(bench: Bench) -> None:
    call = "AI.GENERATE(('What is ', body), output_schema => 'what STRING, parts ARRAY<INT64>')"
    found = bench.ask(call)
    ours = bench.ask("LLM_COMPLETE('What is {0}', body, returns := 'STRUCT(what VARCHAR, parts BIGINT[])')")
    assert found.types == ["STRUCT(what VARCHAR, parts BIGINT[], full_response JSON, status VARCHAR)"]
    expected = [v if v is None else {**v, "full_response": None, "status": ""} for (v,) in ours.rows]
    assert [row for (row,) in found.rows] == expected
    assert found.asked == ours.asked
    assert bench.failing(call) == {"what": None, "parts": None, "full_response": None, "status": "no answer to this"}
    assert bench.ask(f"{call}.what").rows == [(row and row["what"],) for (row,) in found.rows]


def test_an_embedding_has_a_status(bench: Bench) -> None:
    found, ours = bench.ask("AI.EMBED(body, model => 'known-embed')"), bench.ask("LLM_EMBED(body)")
    assert found.types == ["STRUCT(result FLOAT[4], status VARCHAR)"]
    assert [row and row["result"] for (row,) in found.rows] == [vector for (vector,) in ours.rows]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("AI.SCORE('How rude?')", "needs a value"),
        ("AI.GENERATE(body, output_schema => 'a NOTYPE')", "NOTYPE"),
        ("AI.GENERATE(body, output_schema => 'a')", "This argument .* takes names and BigQuery's types"),
        ("AI.GENERATE(body, output_schema => NULL)", "This argument .* takes names and BigQuery's types"),
        ("AI.IF(('x ', body), model_params => '{\"temperature')", "is not JSON"),
        ("AI.IF(('x ', body), model_params => '[1]')", "must be a JSON object"),
        ("AI.CLASSIFY(body)", "categories is missing"),
        ("AI.IF(('x ', body), exampels => 2)", "Did you mean examples"),
        ("AI.IF(('x ', body), examples => ['a'])", "inputs and outputs"),
    ],
)
def test_mistakes(bench: Bench, written: str, message: str) -> None:
    with pytest.raises(BindError, match=message):
        bench.ask(written)


def test_all_fields_as_columns(bench: Bench) -> None:
    sql = "SELECT id, AI.GENERATE(('About ', body), output_schema => 'a STRING, n INT64').* FROM tickets ORDER BY id"
    found = bench.run(sql)
    assert found.names == ["id", "a", "n", "full_response", "status"]
    assert found.types == ["INTEGER", "VARCHAR", "BIGINT", "JSON", "VARCHAR"]
    assert found.rows[2:] == [(3, None, None, None, None), (4, None, None, None, "no answer to this")]
    assert all(a and status == "" for _, a, _, _, status in found.rows[:2])
    assert found.asked.total() == 3
