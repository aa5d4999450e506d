"""The openai provider against the loopback server, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from anserdb.engine.errors import InvalidAnswer, ModelError, NotSupportedError, RateLimited
from anserdb.udfs.models.base import ChoiceAnswer, Embed, Generate, JsonAnswer, Model, ModelSpec
from anserdb.udfs.models.chat_model import ChatModel
from anserdb.udfs.models.openai_compatible import BACKEND
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.models.unavailable import Unready
from tests.support.loopback import Fault, LoopbackServer

LABELS = ("bug report", "praise", "question")
STRUCT = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a", "b"]}


def connect(server: LoopbackServer, **options: Any) -> ChatModel:
    model = BACKEND.create(ModelSpec("remote", "openai", {"base_url": server.base_url, "model": "m", **options}))
    assert isinstance(model, ChatModel)
    return model


@pytest.mark.parametrize(
    "answer",
    [
        ChoiceAnswer(LABELS),
        JsonAnswer(json.dumps(STRUCT)),
        JsonAnswer('{"type": "array", "items": {"type": "integer"}}'),
    ],
    ids=["choice", "struct", "list"],
)
@pytest.mark.parametrize("reject", [(), ("json_schema",), ("response_format",)], ids=["schema", "object", "prompt"])
async def test_answers_are_those_of_the_scripted_model_on_every_kind_of_server(
    answer: ChoiceAnswer | JsonAnswer, reject: tuple[str, ...]
) -> None:
    asked = [Generate("Be exact.", f"text {i}", answer) for i in range(8)]
    expected = [(await ScriptedModel().call(request)).text for request in asked]
    async with LoopbackServer(reject=reject) as server:
        model = connect(server)
        assert [(await model.call(request)).text for request in asked] == expected
        await model.close()


async def test_text_and_usage() -> None:
    request = Generate("two words", "and three more", max_tokens=9)
    async with LoopbackServer() as server:
        model = connect(server)
        reply = await model.call(request)
        await model.close()
    assert reply.text == (await ScriptedModel().call(request)).text
    assert (reply.usage.tokens_in, reply.usage.tokens_out) == (5, 3)
    assert reply.seconds > 0
    body = server.stats.bodies[0]
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 9, 0.0)
    assert "response_format" not in body


async def test_constraints_are_sent_in_the_server_s_own_form() -> None:
    async with LoopbackServer() as server:
        model = connect(server)
        await model.call(Generate("", "x", ChoiceAnswer(LABELS)))
        await model.call(Generate("", "x", JsonAnswer('{"type": "boolean"}')))
        await model.close()
    choice, wrapped = (body["response_format"]["json_schema"] for body in server.stats.bodies)
    assert choice["schema"]["properties"]["answer"]["enum"] == list(LABELS)
    assert wrapped["schema"]["properties"] == {"value": {"type": "boolean"}}
    assert choice["strict"] is wrapped["strict"] is True


async def test_a_server_that_refuses_constraints_is_asked_once_and_not_again() -> None:
    async with LoopbackServer(reject=("response_format",)) as server:
        model = connect(server)
        for i in range(5):
            await model.call(Generate("", f"text {i}", ChoiceAnswer(LABELS)))
        await model.close()
    assert server.stats.requests == 5 + 2  # json_schema and json_object refused, each once


async def test_the_lesson_is_learnt_once_by_all_calls_in_flight() -> None:
    async with LoopbackServer(reject=("json_schema",), latency_s=0.0) as server:
        model = connect(server)
        await asyncio.gather(*[model.call(Generate("", f"{i}", ChoiceAnswer(LABELS))) for i in range(20)])
        await model.call(Generate("", "late", ChoiceAnswer(LABELS)))
        await model.close()
    assert server.stats.bodies[-1]["response_format"] == {"type": "json_object"}  # not one step further
    assert server.stats.completed == 21


@pytest.mark.parametrize(("word", "instead"), [("max_tokens", "max_completion_tokens"), ("temperature", None)])
async def test_parameters_a_server_refuses_are_left_out(word: str, instead: str | None) -> None:
    async with LoopbackServer(reject=(word,)) as server:
        model = connect(server)
        await model.call(Generate("", "x"))
        await model.call(Generate("", "y"))
        await model.close()
    assert server.stats.requests == 3
    assert word not in server.stats.bodies[-1]
    assert instead is None or instead in server.stats.bodies[-1]


async def test_scores_come_only_with_the_option_logprobs() -> None:
    request = Generate("", "a text", ChoiceAnswer(LABELS, scores=True))
    expected = (await ScriptedModel().call(request)).scores
    async with LoopbackServer() as server:
        plain, scoring = connect(server), connect(server, logprobs=True)
        assert (plain.capabilities.choice_scores, scoring.capabilities.choice_scores) == (False, True)
        assert (await plain.call(request)).scores is None
        assert (await scoring.call(request)).scores == pytest.approx(expected)
        await plain.close()
        await scoring.close()
    assert "logprobs" not in server.stats.bodies[0]
    assert server.stats.bodies[1]["top_logprobs"] == 20


async def test_embeddings() -> None:
    async with LoopbackServer(dimension=8) as server:
        model = connect(server, embeds=True, dimension=8, query_prefix="query: ")
        plain = await model.call(Embed("a text"))
        query = await model.call(Embed("a text", role="query"))
        with pytest.raises(NotSupportedError, match="cannot write text"):
            await model.call(Generate("", "x"))
        await model.close()
    assert plain.vector == pytest.approx((await ScriptedModel(dimension=8).call(Embed("a text"))).vector)
    assert server.stats.bodies[1]["input"] == "query: a text"
    assert query.usage.tokens_in == 3
    assert (model.capabilities.dimension, model.capabilities.generates) == (8, False)


async def test_an_embedding_of_the_wrong_length_names_the_right_one() -> None:
    async with LoopbackServer(dimension=8, reject=("dimensions",)) as server:
        model = connect(server, embeds=True, dimension=32)
        with pytest.raises(ModelError, match="dimension := 8"):
            await model.call(Embed("a"))
        await model.close()


async def test_a_closed_model_opens_again() -> None:
    async with LoopbackServer() as server:
        model = connect(server)
        await model.call(Generate("", "x"))
        await model.close()
        await model.close()
        await model.call(Generate("", "x"))
        await model.close()
    assert server.stats.completed == 2


async def test_connections_are_kept_alive() -> None:
    async with LoopbackServer() as server:
        model = connect(server, concurrency=4)
        for _ in range(5):
            await asyncio.gather(*[model.call(Generate("", f"{i}")) for i in range(16)])
        transport = model._transport
        assert transport._session is not None
        assert transport._session.connector is not None
        assert len(transport._session.connector._conns) == 1  # one host …
        (idle,) = transport._session.connector._conns.values()
        assert len(idle) <= 4  # … and as many connections as calls may be in flight
        await model.close()


async def test_without_base_url_the_environment_counts_as_in_the_openai_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with LoopbackServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url + "/")
        monkeypatch.setenv("OPENAI_API_KEY", "the-key")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
        monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: ducks\nAuthorization: Bearer other")
        model = BACKEND.create(ModelSpec("gpt-4.1-mini", "openai", {}))
        await model.call(Generate("", "x"))
        async with openai.AsyncOpenAI() as theirs:
            await theirs.chat.completions.create(model="gpt-4.1-mini", messages=[{"role": "user", "content": "x"}])
        await model.close()
    ours, package = server.stats.headers
    for name in ("OpenAI-Organization", "OpenAI-Project", "X-Team"):
        assert ours[name] == package[name]
    assert ours.getall("Authorization") == ["Bearer the-key"]
    assert "X-Stainless-Lang" not in ours
    assert model.identity == f"openai:{server.base_url}:gpt-4.1-mini"


async def test_organization_of_the_environment_goes_to_no_other_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    async with LoopbackServer() as server:
        plain, named = connect(server), connect(server, organization="org-2")
        await plain.call(Generate("", "x"))
        await named.call(Generate("", "x"))
        await plain.close()
        await named.close()
    assert "OpenAI-Organization" not in server.stats.headers[0]
    assert server.stats.headers[1]["OpenAI-Organization"] == "org-2"


async def test_a_missing_key_is_named_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    spec = ModelSpec("far", "openai", {"base_url": "https://models.example.org/v1", "api_key_env": "MY_KEY"})
    model = BACKEND.create(spec)
    with pytest.raises(ModelError, match="set the environment variable MY_KEY"):
        await model.call(Generate("", "x"))
    await model.close()


OURS: list[tuple[int, type[Exception], Callable[[], type[Exception]]]] = [
    (400, ModelError, lambda: openai.BadRequestError),
    (401, ModelError, lambda: openai.AuthenticationError),
    (403, ModelError, lambda: openai.PermissionDeniedError),
    (404, ModelError, lambda: openai.NotFoundError),
    (409, Unready, lambda: openai.ConflictError),
    (429, RateLimited, lambda: openai.RateLimitError),
    (500, Unready, lambda: openai.InternalServerError),
    (503, Unready, lambda: openai.InternalServerError),
]


@pytest.mark.parametrize(("status", "ours", "theirs"), OURS)
async def test_statuses_mean_what_they_mean_to_the_openai_package(
    status: int, ours: type[Exception], theirs: Callable[[], type[Exception]]
) -> None:
    async with LoopbackServer(fault=lambda number, body: Fault(status)) as server:
        model = connect(server)
        with pytest.raises(ModelError) as caught:
            await model.call(Generate("", "x"))
        assert type(caught.value) is ours
        client = openai.AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=0)
        with pytest.raises(theirs()):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
        await client.close()
        await model.close()


@pytest.mark.parametrize("reject", [(), ("response_format",)])
async def test_an_answer_outside_the_choices_is_invalid(reject: tuple[str, ...]) -> None:
    async with LoopbackServer(reject=reject, fault=lambda number, body: Fault("wrong_schema")) as server:
        model = connect(server)
        with pytest.raises(InvalidAnswer, match="none of"):
            await model.call(Generate("", "x", ChoiceAnswer(LABELS)))
        await model.close()


async def test_a_cut_json_answer_asks_for_more_tokens() -> None:
    async with LoopbackServer(fault=lambda number, body: Fault("truncated")) as server:
        model = connect(server)
        with pytest.raises(InvalidAnswer, match="cut at 64 tokens: raise max_tokens"):
            await model.call(Generate("", "x", JsonAnswer(json.dumps(STRUCT)), max_tokens=64))
        assert (await model.call(Generate("", "x", max_tokens=64))).text  # free text may be cut
        await model.close()


def test_identity_depends_on_what_answers_depend_on() -> None:
    def identity(**options: Any) -> str:
        model: Model = BACKEND.create(ModelSpec("n", "openai", {"base_url": "http://127.0.0.1:1/v1", **options}))
        return model.identity

    assert identity() == identity(concurrency=3)
    assert len({identity(), identity(model="b"), identity(dimension=3), identity(query_prefix="query: ")}) == 4
