"""MotherDuck's forms: what they are rewritten to, what they give, and that they ask what the canonical call asks."""

from __future__ import annotations

import pytest

from anserdb.engine.errors import BindError

from .conftest import Bench

GOLDEN = [
    ("prompt('Say ' || body)", "LLM_COMPLETE('Say {0}', body)"),
    ("prompt(body)", "LLM_COMPLETE('Give the answer that {0} asks for.', body)"),
    ("prompt('Hi', 'known', temperature := 0.5)", "LLM_COMPLETE('Hi', model := 'known', temperature := 0.5)"),
    (
        "prompt('About ' || body, struct := {a: 'VARCHAR', b: ['INTEGER'], c: {d: 'DATE'}})",
        'LLM_COMPLETE(\'About {0}\', body, returns := \'STRUCT("a" VARCHAR, "b" INTEGER[], "c" STRUCT("d" DATE))\')',
    ),
    (
        "prompt('About ' || body, struct := {a: 'VARCHAR'}, struct_descr := {a: 'what {it} is'})",
        "LLM_COMPLETE('About {0}\na: what {{it}} is', body, returns := 'STRUCT(\"a\" VARCHAR)')",
    ),
    ("prompt('Count ' || body, return_type := 'INTEGER')", "LLM_COMPLETE('Count {0}', body, returns := 'INTEGER')"),
    (
        "prompt('About ' || body, json_schema := {type: 'object', properties: {a: {type: 'integer'}}})",
        "to_json(LLM_COMPLETE('About {0}', body, returns := 'STRUCT(\"a\" BIGINT)'))",
    ),
    ("embedding(body)", "LLM_EMBED(body)"),
    ("embedding(body, model := 'known-embed')", "LLM_EMBED(body, model := 'known-embed')"),
]


@pytest.mark.parametrize(("written", "ours"), GOLDEN)
def test_what_it_is_rewritten_to(bench: Bench, written: str, ours: str) -> None:
    assert bench.expression(written) == ours


@pytest.mark.parametrize(("written", "ours"), GOLDEN)
def test_it_gives_what_the_canonical_call_gives(bench: Bench, written: str, ours: str) -> None:
    found, expected = bench.ask(written), bench.ask(ours)
    assert (found.types, found.rows, found.asked) == (expected.types, expected.rows, expected.asked)


def test_a_failed_row_is_null(bench: Bench) -> None:
    assert bench.failing("prompt('Say ' || body)") is None


def test_an_effort_is_ignored_with_a_notice(bench: Bench) -> None:
    assert bench.ask("prompt('Say ' || body, reasoning_effort := 'high')").notices == [
        "reasoning_effort of MotherDuck has no meaning here and is ignored."
    ]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("prompt('x', struct := {a: 'INTEGR'})", "Did you mean INTEGER"),
        ("prompt('x', struct := {a: 1})", "'TYPE'"),
        ("prompt('x', return_type := 'INTEGR')", "Did you mean INTEGER"),
        ("prompt('x', json_schema := 'nothing')", "is not right"),
        ("prompt()", "text is missing"),
        ("embedding(body, dimension := 3)", "has no option dimension"),
    ],
)
def test_mistakes(bench: Bench, written: str, message: str) -> None:
    with pytest.raises(BindError, match=message):
        bench.ask(written)
