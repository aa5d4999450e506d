"""The options of every call: checked when a statement is bound, and part of every question and its key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import anserdb
from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import BindError, ModelTimeout
from anserdb.engine.sql.common_options import common_options
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Capabilities, Generate, Reply, Request
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.models.wrap.attempt_timeout import attempt, attempts_within
from anserdb.udfs.models.wrap.gate import Limits
from anserdb.udfs.models.wrap.limited import Limited
from tests.support.function_call import DYNAMIC, Asker, bound, task

T = "FROM (VALUES ('late again')) AS t(body)"


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(capabilities=Capabilities(local=True))


@pytest.fixture
def connection(model: ScriptedModel) -> Iterator[anserdb.Connection]:
    with anserdb.connect(":memory:", store=":memory:", llm_model="m", llm_embedding_model="scripted") as opened:
        opened.register_model("m", model)
        yield opened


def run(connection: anserdb.Connection, sql: str) -> list[Any]:
    relation = connection.sql(sql)
    assert relation is not None
    return list(relation.fetchall())


def asked(model: ScriptedModel) -> Generate:
    request = model.calls[-1]
    assert isinstance(request, Generate)
    return request


def test_additions_reach_the_request(connection: anserdb.Connection, model: ScriptedModel) -> None:
    run(
        connection,
        "SELECT LLM_FILTER('the customer is angry', body, seed := 7, instructions := 'Be strict.', temperature := 0.5, "
        f"examples := [{{input: E'Late!\\nAnswer: No', output: true}}, {{input: 'Fine', output: false}}]) {T}",
    )
    request = asked(model)
    assert (request.seed, request.temperature) == (7, 0.5)
    assert request.system.splitlines()[1:] == [
        "Be strict.",
        "Examples",
        "",
        "Input: Late!",
        "  Answer: No",
        "Answer: Yes",
        "",
        "Input: Fine",
        "Answer: No",
    ]
    assert request.user.endswith("Body: late again")


@pytest.mark.parametrize(
    "option", ["seed := 1", "seed := 2", "instructions := 'Be kind.'", "examples := [{input: 'a', output: 'b'}]"]
)
def test_another_option_is_another_question_and_the_same_one_is_not(
    connection: anserdb.Connection, model: ScriptedModel, option: str
) -> None:
    run(connection, f"SELECT LLM_COMPLETE('Say it kindly.', body) {T}")
    for _ in range(2):
        run(connection, f"SELECT LLM_COMPLETE('Say it kindly.', body, {option}) {T}")
    assert len(model.calls) == 2


def test_two_calls_with_other_seeds_are_two(connection: anserdb.Connection, model: ScriptedModel) -> None:
    run(connection, f"SELECT LLM_COMPLETE('x', body, seed := 1), LLM_COMPLETE('x', body, seed := 2) {T}")
    assert sorted(request.seed for request in model.calls if isinstance(request, Generate)) == [1, 2]  # type: ignore[type-var]


async def test_calibration_sees_the_same_prompt() -> None:
    call, _ = task(
        "LLM_FILTER",
        bound("angry", DYNAMIC, texts=("…", "body"), instructions="Be strict."),
        Capabilities(choice_scores=True),
    )
    ask = Asker(("", lambda request: Reply("Yes", {"Yes": -1.0, "No": -1.0})))
    await call.prepare(ask)
    await call.run(["x"], ask)
    assert len(ask.generated) == len(call.preparation()) + 1
    assert all(request.system.endswith("\nBe strict.") for request in ask.generated)
    assert list(call.preparation()) == ask.generated[:-1]


def test_an_example_may_have_several_inputs(connection: anserdb.Connection, model: ScriptedModel) -> None:
    run(
        connection,
        "SELECT LLM_EXTRACT(body, {days: 'INTEGER'}, "
        f"examples := [{{input: {{body: 'two days late', author: 'Al'}}, output: {{days: 2}}}}]) {T}",
    )
    assert 'Body: two days late\nAuthor: Al\nAnswer: {"days": 2}' in asked(model).system


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("LLM_FILTER('x', body, sed := 7)", "no option sed.*Did you mean seed"),
        ("LLM_FILTER('x', body, seed := 1.5)", "seed takes a whole number"),
        ("LLM_FILTER('x', body, seed := -1)", "seed takes a whole number"),
        ("LLM_FILTER('x', body, seed := true)", "seed takes a whole number"),
        ("LLM_FILTER('x', body, timeout := 0)", "timeout takes a number of seconds above 0"),
        ("LLM_FILTER('x', body, timeout := 'soon')", "timeout"),
        ("LLM_FILTER('x', body, instructions := ' ')", "instructions takes a non-empty string"),
        ("LLM_FILTER('x', body, instructions := body)", "must be a constant"),
        ("LLM_FILTER('x', body, examples := [])", "examples takes a list of structs"),
        ("LLM_FILTER('x', body, examples := ['a'])", "examples takes a list of structs"),
        ("LLM_FILTER('x', body, examples := [{input: 'a'}])", "examples takes a list of structs"),
        ("LLM_FILTER('x', body, examples := [{input: 'a', output: NULL}])", "examples takes a list of structs"),
        ("LLM_FILTER('x', body, examples := [{input: 'a', output: 'maybe'}])", "must be true or false, not 'maybe'"),
        ("LLM_COMPLETE('x', body, examples := [{input: 'a', output: 3}])", "must be text, not 3"),
        ("LLM_COMPLETE('x', body, returns := 'DATE', examples := [{input: 'a', output: 'b'}])", "is no DATE"),
        ("LLM_SCORE('x', body, examples := [{input: 'a', output: 3}])", "must be true or false"),
        ("LLM_AGG(body, 'x', examples := [{input: 'a', output: 'b'}])", "no option examples"),
        ("LLM_EMBED(body, temperature := 0)", "no option temperature"),
    ],
)
def test_wrong_options_are_refused_before_any_call(
    connection: anserdb.Connection, model: ScriptedModel, call: str, message: str
) -> None:
    with pytest.raises(BindError, match=message):
        run(connection, f"SELECT {call} {T}")
    assert model.calls == []


def test_who_takes_which() -> None:
    names = {
        name: {o.name for o in common_options(functions()[name])} for name in ("LLM_FILTER", "LLM_AGG", "LLM_EMBED")
    }
    assert names["LLM_FILTER"] - names["LLM_AGG"] == {"examples", "batch_rows", "labels", "guarantee", "delta", "proxy"}
    assert names["LLM_EMBED"] == {"model", "on_error", "cache", "timeout"}


async def test_an_attempt_ends_at_its_timeout_and_waiting_for_a_slot_does_not_count() -> None:
    first_runs, released = asyncio.Event(), asyncio.Event()

    async def delay(request: Request) -> None:
        assert isinstance(request, Generate)
        if request.user == "held":
            first_runs.set()
            await released.wait()
        if request.user == "never":
            await asyncio.Event().wait()

    model = Limited(ScriptedModel([("", "fine")], delay=delay), Gates(LoopClock()).open(Limits("here", "m", 1)))

    async def call(text: str, seconds: float | None) -> Reply:
        with attempts_within(seconds):
            return await model.call(Generate("", text))

    held = asyncio.create_task(call("held", None))
    await first_runs.wait()
    waiting = asyncio.create_task(call("next", 0.05))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    released.set()
    assert (await held).text == (await waiting).text == "fine"
    with pytest.raises(ModelTimeout, match=r"No answer within 0\.01 s"):
        await call("never", 0.01)
    assert model.in_flight == 0


async def test_a_models_own_timeout_error_is_its_own() -> None:
    model = ScriptedModel([("", TimeoutError("mine"))])
    with attempts_within(60), pytest.raises(TimeoutError, match="mine"):
        await attempt(model, Generate("", "x"))


def test_a_row_that_takes_too_long_fails() -> None:
    async def delay(request: Request) -> None:
        assert isinstance(request, Generate)
        if "slow" in request.user:
            await asyncio.Event().wait()

    model = ScriptedModel([("", "done")], capabilities=Capabilities(local=True), delay=delay)
    with anserdb.connect(
        ":memory:", store=":memory:", llm_model="m", llm_max_retries=0, llm_max_error_ratio=1
    ) as opened:
        opened.register_model("m", model)
        rows = run(
            opened,
            "SELECT LLM_COMPLETE('x', body, timeout := 0.2, on_error := 'details') AS c "
            "FROM (VALUES ('slow'), ('fast')) AS t(body) ORDER BY body",
        )
    assert [row[0]["value"] for row in rows] == ["done", None]
    assert "No answer within 0.2 s" in rows[1][0]["error"]
