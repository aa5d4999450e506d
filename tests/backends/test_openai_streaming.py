"""Answers that are heard while they are written: over real HTTP, and the same in the end as those that are not."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import openai
import pytest
import stamina
from openai.types.chat import ChatCompletionUserMessageParam

from anserdb.engine.errors import ModelTimeout, ModelUnavailable, RateLimited
from anserdb.udfs.models import openai_compatible, vllm
from anserdb.udfs.models.base import ChoiceAnswer, Generate, JsonAnswer, Model, ModelSpec, Reply, TextAnswer, Usage
from anserdb.udfs.models.chat_model import ChatModel
from anserdb.udfs.models.hearing import hearing
from anserdb.udfs.models.sending import counted
from anserdb.udfs.models.wrap.attempt_timeout import attempt, attempts_within
from anserdb.udfs.models.wrap.retried import Retried
from tests.backends.test_sse import LAST, USAGE, Heard, chunk, lines
from tests.support.loopback import Fault, LoopbackServer
from tests.support.raw_stream import RawServer, raw_stream

STRUCT = JsonAnswer('{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}')
LIST = JsonAnswer('{"type": "array", "items": {"type": "integer"}}')
PATTERN = JsonAnswer('{"type": "string", "pattern": "^[A-Z]{2}$"}')
ASK = Generate("", "tell me")
STREAMING = {"stream": True, "stream_options": {"include_usage": True}}


def connect(server: LoopbackServer | RawServer, provider: Any = openai_compatible, **options: Any) -> ChatModel:
    made = provider.BACKEND.create(
        ModelSpec("remote", "openai", {"base_url": server.base_url, "model": "m", **options})
    )
    assert isinstance(made, ChatModel)
    return made


async def heard(model: Model, request: Generate = ASK) -> tuple[Reply, Heard]:
    ear = Heard()
    with hearing(ear):
        return await model.call(request), ear


async def hello(_: Any) -> AsyncIterator[bytes]:
    yield lines(chunk("Hel"), chunk("lo"))
    yield lines(chunk(finish="stop"), LAST, "[DONE]")


@pytest.mark.parametrize("provider", [openai_compatible, vllm])
@pytest.mark.parametrize(
    "reject", [(), ("json_schema", "structured_outputs"), ("response_format", "structured_outputs")]
)
@pytest.mark.parametrize("answer", [TextAnswer(), STRUCT, LIST, PATTERN], ids=["text", "struct", "list", "pattern"])
async def test_the_reply_is_the_same_as_unheard(provider: Any, reject: tuple[str, ...], answer: Any) -> None:
    async with LoopbackServer(reject=reject) as server:
        model = connect(server, provider)
        for number in range(4):
            request = Generate("Be exact.", f"text {number}", answer)
            plain = await model.call(request)
            streamed, ear = await heard(model, request)
            assert (streamed.text, streamed.usage, streamed.retries) == (plain.text, plain.usage, 0)
            assert streamed.usage.tokens_out
            (said,) = ear.attempts
            assert answer not in (TextAnswer(), STRUCT) or "".join(said) == plain.text
        await model.close()
    plain_body, body = server.stats.bodies[-2:]
    assert body == plain_body | STREAMING


async def test_only_what_is_heard_is_streamed_and_no_choice_is() -> None:
    choice = Generate("", "x", ChoiceAnswer(("a", "b")))
    async with LoopbackServer() as server:
        model = connect(server)
        await model.call(ASK)
        _, ear = await heard(model, choice)
        await model.close()
    assert not ear.attempts
    assert ["stream" in body for body in server.stats.bodies] == [False, False]


async def test_a_streamed_answer_keeps_a_connection_that_is_dear() -> None:
    async def pieces(_: Any) -> AsyncIterator[bytes]:
        async for piece in hello(_):
            yield piece
        await asyncio.sleep(0.01)  # the end mark comes before the last byte of the transfer

    async with raw_stream(pieces) as server:
        model = connect(server)
        model._transport._streaming = None  # as over TLS
        for _ in range(3):
            reply, ear = await heard(model)
            assert (reply.text, reply.usage) == ("Hello", Usage(5, 2, 4))
            assert "".join(ear.attempts[0]) == "Hello"
        await model.close()
    assert server.connections == 1


async def test_a_connection_that_is_closed_without_notice_is_not_used_again() -> None:
    async with raw_stream(hello, keeps=False) as server:
        model = connect(server)
        for _ in range(3):
            assert (await heard(model))[0].text == "Hello"
        await model.close()
    assert server.connections == len(server.bodies) == 3


async def test_words_are_heard_before_the_next_ones_are_written() -> None:
    ear = Heard()
    seen: list[int] = []

    async def pieces(_: Any) -> AsyncIterator[bytes]:
        for number in range(5):
            yield lines(chunk(f"{number} "))
            while len("".join(ear.attempts[0] if ear.attempts else ())) < 2 * number + 2:
                await asyncio.sleep(0.001)
            seen.append(number)
        yield lines(chunk(finish="stop"), LAST, "[DONE]")

    async with raw_stream(pieces) as server:
        model = connect(server)
        with hearing(ear):
            assert (await model.call(ASK)).text == "0 1 2 3 4 "
        await model.close()
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("reject", "left", "refused"), [(("stream_options",), {"stream": True}, 1), (("stream",), {}, 1)]
)
async def test_what_a_server_refuses_of_a_stream_is_not_asked_for_again(
    reject: tuple[str, ...], left: dict[str, Any], refused: int
) -> None:
    async with LoopbackServer(reject=reject) as server:
        model = connect(server)
        answers = [(await heard(model))[0].text for _ in range(3)]
        assert answers == [(await model.call(ASK)).text] * 3
        await model.close()
    *_, last, plain = server.stats.bodies
    assert last == plain | left
    assert server.stats.requests == 4 + refused


async def test_a_server_may_refuse_one_after_the_other() -> None:
    def fault(_: int, body: dict[str, Any]) -> Fault | None:
        named = "stream_options" if "stream_options" in body else "Streaming"
        return Fault(400, message=f"{named} is not supported.") if "stream" in body else None

    async with LoopbackServer(fault=fault) as server:
        model = connect(server)
        await asyncio.gather(*(heard(model, Generate("", f"{number}")) for number in range(5)))
        await heard(model)
        await model.close()
    assert "stream" not in server.stats.bodies[-1]
    assert server.stats.completed == 6


async def test_the_form_of_an_answer_outlasts_its_stream() -> None:
    def fault(_: int, body: dict[str, Any]) -> Fault | None:
        return Fault(400, message="Streaming is not supported with response_format.") if "stream" in body else None

    async with LoopbackServer(fault=fault) as server:
        model = connect(server)
        await heard(model, Generate("", "x", STRUCT))
        await model.close()
    assert server.stats.bodies[-1]["response_format"]["type"] == "json_schema"


async def test_a_server_that_answers_at_once_all_the_same_is_read() -> None:
    async def at_once(_: Any) -> AsyncIterator[bytes]:
        reply = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}], "usage": USAGE}
        yield json.dumps(reply).encode()

    async with raw_stream(at_once, content_type="application/json") as server:
        model = connect(server)
        reply, ear = await heard(model)
        await model.close()
    assert (reply.text, reply.usage, ear.attempts) == ("Hello", Usage(5, 2, 4), [])


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("end", [b"", b'data: {"choices": [{"delta": {"content": "l'], ids=["event", "middle"])
async def test_a_stream_that_breaks_off_is_asked_for_again_and_heard_anew(chunked: bool, end: bytes) -> None:
    answers = 0

    async def pieces(_: Any) -> AsyncIterator[bytes]:
        nonlocal answers
        answers += 1
        if answers < 3:
            yield lines(chunk("Hell", usage=USAGE)) + end
        else:
            async for piece in hello(_):
                yield piece

    async with raw_stream(pieces, chunked=chunked) as server:
        model = connect(server)
        with (
            pytest.raises(ModelUnavailable, match="broke off in the middle of its answer") as caught,
            counted() as paid,
        ):
            await heard(model)
        assert caught.value.retryable
        assert (paid.count, paid.usage) == (1, Usage(5, 2, 4))
        with stamina.set_testing(True, attempts=3, cap=True):
            reply, ear = await heard(Retried(model, max_retries=2))
        await model.close()
    assert (reply.text, reply.retries) == ("Hello", 1)
    assert list(map("".join, ear.attempts)) == ["Hell", "Hello"]


async def test_an_error_in_mid_stream_is_told_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pieces(_: Any) -> AsyncIterator[bytes]:
        yield lines(chunk("Hel"), '{"error": {"message": "slow down, the-key", "code": "rate_limit_exceeded"}}')

    monkeypatch.setenv("OPENAI_API_KEY", "the-key")
    async with raw_stream(pieces) as server:
        model = connect(server)
        with pytest.raises(RateLimited, match=r"slow down, \[key hidden\]"):
            await heard(model)
        await model.close()


async def test_what_is_no_stream_is_shown() -> None:
    async def page(_: Any) -> AsyncIterator[bytes]:
        yield b"<html>proxy says hello</html>"

    async def words(_: Any) -> AsyncIterator[bytes]:
        yield lines("hello")

    for pieces, kind in ((page, "text/html"), (words, "text/event-stream")):
        async with raw_stream(pieces, content_type=kind) as server:
            model = connect(server)
            with pytest.raises(ModelUnavailable, match=r"not JSON: '.*hello"):
                await heard(model)
            await model.close()


async def forever(_: Any) -> AsyncIterator[bytes]:
    while True:
        yield lines(chunk("a"))
        await asyncio.sleep(0.01)


async def test_a_stream_without_end_ends_at_the_model_s_timeout() -> None:
    async with raw_stream(forever) as server:
        model = connect(server, timeout_s=0.3)
        with pytest.raises(ModelTimeout, match=r"within 0\.3 s"):
            await heard(model)
        await asyncio.wait_for(server.left.wait(), 5)
        await model.close()


async def test_a_stream_without_end_ends_at_the_call_s_timeout() -> None:
    async with raw_stream(forever) as server:
        model = connect(server)
        with attempts_within(0.2), hearing(Heard()), pytest.raises(ModelTimeout, match=r"within 0\.2 s"):
            await attempt(model, ASK)
        await asyncio.wait_for(server.left.wait(), 5)
        await model.close()


async def test_who_stops_listening_closes_the_connection() -> None:
    async with raw_stream(forever) as server:
        model = connect(server)
        ear = Heard()
        with hearing(ear):
            call = asyncio.create_task(model.call(ASK))
            while not ear.attempts:
                await asyncio.sleep(0.001)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        await asyncio.wait_for(server.left.wait(), 5)
        await model.close()


async def test_a_connection_that_stays_open_after_the_end_keeps_nobody() -> None:
    async def pieces(_: Any) -> AsyncIterator[bytes]:
        async for piece in hello(_):
            yield piece
        async for _more in forever(_):
            yield b": still there\n\n"

    async with raw_stream(pieces) as server:
        model = connect(server)
        assert (await heard(model))[0].text == "Hello"
        await asyncio.wait_for(server.left.wait(), 5)
        await model.close()


async def test_a_connection_that_breaks_after_the_end_breaks_nothing() -> None:
    async def pieces(_: Any) -> AsyncIterator[bytes]:
        async for piece in hello(_):
            yield piece
        await asyncio.sleep(0.01)
        raise ConnectionError

    async with raw_stream(pieces) as server:
        model = connect(server)
        for _ in range(2):
            assert (await heard(model))[0].text == "Hello"
        await model.close()
    assert server.connections == 2


async def test_the_openai_package_reads_the_same_of_the_same_stream() -> None:
    messages: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": ASK.user}]
    async with LoopbackServer() as server:
        model = connect(server)
        ours, ear = await heard(model)
        await model.close()
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="k") as package:
            stream = await package.chat.completions.create(
                model="m", messages=messages, stream=True, stream_options={"include_usage": True}
            )
            chunks = [event async for event in stream]
    said = [piece for event in chunks for choice in event.choices if (piece := choice.delta.content)]
    usage = chunks[-1].usage
    assert usage is not None
    assert "".join(said) == ours.text == "".join(ear.attempts[0])
    assert (usage.prompt_tokens, usage.completion_tokens) == (ours.usage.tokens_in, ours.usage.tokens_out)
    assert len(said) > 1


async def test_the_openai_package_too_takes_an_error_in_mid_stream_for_one() -> None:
    async def pieces(_: Any) -> AsyncIterator[bytes]:
        yield lines(chunk("Hel"), '{"error": {"message": "no", "type": "server_error"}}')

    async with raw_stream(pieces) as server:
        model = connect(server)
        with pytest.raises(ModelUnavailable):
            await heard(model)
        await model.close()
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=0) as package:
            stream = await package.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "x"}], stream=True
            )
            with pytest.raises(openai.APIError):
                _ = [event async for event in stream]


async def test_answers_are_right_although_one_stream_in_five_breaks_off() -> None:
    met: Counter[str] = Counter()

    async def pieces(body: dict[str, Any]) -> AsyncIterator[bytes]:
        asked = body["messages"][-1]["content"]
        met[asked] += 1
        luck = Random(f"{asked} {met[asked]}")
        raw = lines(*map(chunk, f"The answer to {asked}.".split(" ")), chunk(finish="stop"), LAST, "[DONE]")
        raw = raw[: luck.randrange(len(raw) - 20)] if luck.random() < 0.2 else raw
        while raw:
            size = luck.randrange(1, 40)
            yield raw[:size]
            raw = raw[size:]

    async with raw_stream(pieces) as server:
        remote = connect(server, concurrency=8)
        model = Retried(remote, max_retries=8)

        async def asked(number: int) -> Heard:
            reply, ear = await heard(model, Generate("", f"{number}"))
            assert reply.text == f"Theanswerto{number}."
            assert "".join(ear.attempts[-1]) == reply.text
            return ear

        with stamina.set_testing(True, attempts=9, cap=True):
            ears = await asyncio.gather(*map(asked, range(60)))
        await remote.close()
    assert sum(met.values()) > 60  # some did break off
    assert any(len(ear.attempts) > 1 for ear in ears)
