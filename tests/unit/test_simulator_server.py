"""The simulator over HTTP, asked by the openai package and by hand: protocol, streaming, limits, every fault, the bill."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from benchmarks.server import KINDS, ChildServer, Fault, LoopbackServer, Profile
from benchmarks.server.asked import words

ROOT = Path(__file__).parents[2]
SAID = "one two  three\nfour."
QUESTION: Any = {"model": "simulated", "messages": [{"role": "user", "content": "how many words?"}]}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
IN_JSON = {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}}
SMALL, LARGE = Profile("small", price_in=0.4, price_out=1.6), Profile("large", price_in=2.0, price_out=8.0)


def say(body: dict[str, Any]) -> str:
    del body
    return SAID


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session:
        yield session


async def post(session: aiohttp.ClientSession, server: LoopbackServer, **more: Any) -> tuple[int, bytes]:
    async with session.post(f"{server.base_url}/chat/completions", json={**QUESTION, **more}) as response:
        return response.status, await response.read()


async def get(session: aiohttp.ClientSession, server: LoopbackServer, path: str) -> Any:
    async with session.get(f"http://127.0.0.1:{server.port}{path}") as response:
        return await response.json()


async def until_in_flight(server: LoopbackServer, count: int) -> None:
    async with asyncio.timeout(30):
        while server.stats.in_flight != count:
            await asyncio.sleep(0.001)


# --- the protocol, as the openai package reads it -----------------------------------------------------------------------


async def test_a_stream_is_the_answer_token_by_token_with_its_usage() -> None:
    async with (
        LoopbackServer(answer=say) as server,
        openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client,
    ):
        whole = await client.chat.completions.create(**QUESTION)
        stream = await client.chat.completions.create(**QUESTION, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        assert server.bill.total.answered == 2
    assert whole.choices[0].message.content == SAID
    *parts, last, usage = chunks
    assert [part.choices[0].delta.content for part in parts] == ["one ", "two  ", "three\n", "four."]
    assert (parts[0].choices[0].delta.role, last.choices[0].finish_reason) == ("assistant", "stop")
    assert usage.choices == []
    assert usage.usage == whole.usage
    assert usage.usage is not None
    assert (usage.usage.prompt_tokens, usage.usage.completion_tokens) == (3, 4)


async def test_a_stream_has_no_usage_that_nobody_asked_for() -> None:
    async with (
        LoopbackServer(answer=say) as server,
        openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client,
    ):
        chunks = [chunk async for chunk in await client.chat.completions.create(**QUESTION, stream=True)]
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


async def test_likelihoods_come_with_the_tokens_that_they_are_of() -> None:
    async with (
        LoopbackServer(answer=say) as server,
        openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client,
    ):
        whole = await client.chat.completions.create(**QUESTION, logprobs=True)
        stream = [chunk async for chunk in await client.chat.completions.create(**QUESTION, stream=True, logprobs=True)]
    assert whole.choices[0].logprobs is not None
    tokens = whole.choices[0].logprobs.content or []
    assert "".join(token.token for token in tokens) == SAID
    assert all(token.logprob <= 0 for token in tokens)
    streamed = [chunk.choices[0].logprobs.content for chunk in stream if chunk.choices[0].logprobs]
    assert [[token] for token in tokens] == streamed


async def test_completions_embeddings_and_models() -> None:
    async with (
        LoopbackServer(SMALL, LARGE, answer=say) as server,
        openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client,
    ):
        completed = await client.completions.create(model="small", prompt=["two words", "and three words"])
        streamed = [c async for c in await client.completions.create(model="small", prompt="two words", stream=True)]
        embedded = await client.embeddings.create(
            model="large", input=["a", "b c"], encoding_format="float", dimensions=4
        )
        listed = [model.id async for model in client.models.list()]
        with pytest.raises(openai.NotFoundError, match="`huge` does not exist"):
            await client.completions.create(model="huge", prompt="x")
        assert server.bill.lines["small"].tokens_in == 7
        assert server.bill.lines["large"].tokens_in == 3
    assert [choice.text for choice in completed.choices] == [SAID, SAID]
    assert "".join(chunk.choices[0].text for chunk in streamed) == SAID
    assert [len(item.embedding) for item in embedded.data] == [4, 4]
    assert listed == ["small", "large"]


async def test_an_answer_longer_than_allowed_is_cut_and_says_so(session: aiohttp.ClientSession) -> None:
    async with LoopbackServer(answer=say) as server:
        _, raw = await post(session, server, max_tokens=3)
        assert server.bill.total.tokens_out == 3
    (choice,) = json.loads(raw)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one two  three\n", "length")


async def test_what_is_no_request_is_refused(session: aiohttp.ClientSession) -> None:
    async with LoopbackServer() as server:
        async with session.post(f"{server.base_url}/chat/completions", data=b"[1, 2") as response:
            assert response.status == 400
        async with session.get(f"{server.base_url}/nothing") as response:
            assert response.status == 404


# --- limits -------------------------------------------------------------------------------------------------------------


async def test_requests_beyond_the_rate_are_told_when_to_come_again(session: aiohttp.ClientSession) -> None:
    async with LoopbackServer(rpm=600, window_s=0.5) as server:  # five in half a second
        statuses = [(await post(session, server))[0] for _ in range(5)]
        async with session.post(f"{server.base_url}/chat/completions", json=QUESTION) as response:
            assert (statuses, response.status) == ([200] * 5, 429)
            wait = float(response.headers["Retry-After"])
        assert 0 < wait <= 0.5
        await asyncio.sleep(wait + 0.01)
        assert (await post(session, server))[0] == 200
        assert (server.bill.total.answered, server.bill.total.refused) == (6, 1)


async def test_the_tokens_of_answers_count_towards_the_rate(session: aiohttp.ClientSession) -> None:
    async with LoopbackServer(tpm=17, answer=say) as server:  # 3 in and 4 out a request
        assert [(await post(session, server))[0] for _ in range(4)] == [200, 200, 200, 429]


async def test_a_full_server_makes_wait_or_refuses(session: aiohttp.ClientSession) -> None:
    for overload, answered in (("queue", 6), ("refuse", 2)):
        async with LoopbackServer(cap=2, overload=overload, latency_s=0.2) as server:
            await asyncio.gather(*[post(session, server) for _ in range(6)])
            assert (server.bill.total.answered, server.bill.total.refused) == (answered, 6 - answered)


async def test_a_prompt_seen_before_is_cached_and_cheaper(session: aiohttp.ClientSession) -> None:
    profile = Profile(cache_tokens=1024, price_in=1.0, price_cached=0.25)
    text = " ".join(str(i) for i in range(50))
    async with LoopbackServer(profile) as server:
        for end in ("x", "y"):
            messages = [{"role": "system", "content": text}, {"role": "user", "content": end}]
            _, raw = await post(session, server, messages=messages)
        usage = json.loads(raw)["usage"]
        bill = await get(session, server, "/bill")
    assert usage["prompt_tokens_details"] == {"cached_tokens": 48}
    assert bill["total"]["usd"] == (51 + 3 + 48 * 0.25) / 1_000_000
    assert bill["models"]["simulated"] == bill["total"]


# --- faults -------------------------------------------------------------------------------------------------------------

Met = tuple[int | str, bytes]


async def meet(session: aiohttp.ClientSession, server: LoopbackServer, **more: Any) -> Met:
    """What a client sees: a status or the name of an exception, and the bytes that came."""
    raw = b""
    try:
        async with session.post(f"{server.base_url}/chat/completions", json={**QUESTION, **more}) as response:
            async for piece in response.content.iter_any():
                raw += piece
            return response.status, raw
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__, raw


def is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except ValueError:
        return False
    return True


async def test_every_fault_is_seen_by_its_client_and_none_is_charged_unless_answered() -> None:
    seen: dict[str, Met] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(0.4)) as session:
        for kind in KINDS:
            async with LoopbackServer(fault=lambda number, body, kind=kind: Fault(kind)) as server:
                seen[kind] = await meet(session, server, **IN_JSON)
                await until_in_flight(server, 0)
                line = server.bill.total
                assert server.stats.faults == line.requests == 1
                whole = seen[kind][0] == 200 and kind not in ("garbage", "truncated_sse")
                assert (line.answered, line.failed, line.tokens_in > 0) == (whole, not whole, whole)
    assert seen["timeout"] == ("TimeoutError", b"")
    assert seen["slow_loris"][0] == "TimeoutError"
    assert 0 < len(seen["slow_loris"][1]) < 20
    assert seen["drop"] == ("ServerDisconnectedError", b"")
    assert seen["truncated_body"][0] == "ClientPayloadError"
    assert not is_json(seen["truncated_body"][1])
    assert seen["truncated_sse"][0] == seen["garbage"][0] == 200
    assert not is_json(seen["truncated_sse"][1])
    assert not is_json(seen["garbage"][1])
    assert json.loads(seen["empty_choices"][1])["choices"] == []
    contents = {
        kind: json.loads(seen[kind][1])["choices"][0]["message"]["content"]
        for kind in ("malformed_json", "wrong_schema", "truncated")
    }
    assert not is_json(contents["malformed_json"].encode())
    assert "name" not in json.loads(contents["wrong_schema"])
    assert not is_json(contents["truncated"].encode())


async def test_a_choice_outside_the_list_and_statuses_with_their_words(session: aiohttp.ClientSession) -> None:
    choices = {"structured_outputs": {"choice": ["yes", "no", "perhaps"]}}
    async with LoopbackServer(
        schedule={0: Fault("wrong_schema"), 1: Fault(503, {"X-Why": "tired"}, "go away")}
    ) as server:
        _, raw = await post(session, server, **choices)
        assert json.loads(raw)["choices"][0]["message"]["content"] not in ("yes", "no", "perhaps")
        async with session.post(f"{server.base_url}/chat/completions", json=QUESTION) as response:
            assert (response.status, response.headers["X-Why"]) == (503, "tired")
            assert (await response.json())["error"]["message"] == "go away"
        assert (server.bill.total.answered, server.bill.total.failed) == (1, 1)


async def test_free_text_cannot_be_outside_its_schema(session: aiohttp.ClientSession) -> None:
    async with LoopbackServer(answer=say, fault=lambda *_: Fault("wrong_schema")) as server:
        _, raw = await post(session, server)
    assert json.loads(raw)["choices"][0]["message"]["content"] == SAID


@pytest.mark.parametrize(("kind", "ends"), [("truncated_sse", 200), ("truncated_body", "ClientPayloadError")])
async def test_a_stream_breaks_off_in_the_middle(session: aiohttp.ClientSession, kind: Any, ends: int | str) -> None:
    async with LoopbackServer(answer=say, fault=lambda *_: Fault(kind)) as server:
        met, raw = await meet(session, server, stream=True)
        assert server.bill.total.failed == 1
    assert met == ends
    assert b"one " in raw
    assert b"four." not in raw
    assert b"[DONE]" not in raw


async def test_a_slow_loris_is_whole_in_the_end(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.server.delivery.LORIS_S", 0.0001)
    async with LoopbackServer(answer=say, fault=lambda *_: Fault("slow_loris")) as server:
        for stream in (False, True):
            met, raw = await meet(session, server, stream=stream)
            assert (met, b"four." in raw) == (200, True)
        assert server.bill.total.answered == 2


# --- the bill -----------------------------------------------------------------------------------------------------------


async def test_who_leaves_is_cancelled_and_what_was_written_is_lost_not_charged(session: aiohttp.ClientSession) -> None:
    text = " ".join(["word"] * 1000)
    async with (
        LoopbackServer(tokens_per_s=500, answer=lambda body: text, price_in=1.0, price_out=1.0) as server,
        session.post(f"{server.base_url}/chat/completions", json={**QUESTION, "stream": True}) as response,
    ):
        while b"word" not in await response.content.readany():
            pass
        response.close()
        await until_in_flight(server, 0)
        line = server.bill.total
        assert (line.requests, line.cancelled, line.answered, server.bill.usd) == (1, 1, 0, 0)
        assert line.lost_tokens_in == 3
        assert 0 < line.lost_tokens_out < 1000
    assert len(words(text)) == 1000


async def test_who_is_gone_before_a_write_is_no_fault_of_the_server(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def gone(*_: Any) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr("benchmarks.server.loopback.deliver", gone)
    async with LoopbackServer(answer=say) as server:
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"{server.base_url}/chat/completions", json=QUESTION)
        assert server.bill.total.cancelled == 1
    assert not caplog.records


async def test_who_leaves_the_queue_has_cost_nothing(session: aiohttp.ClientSession) -> None:
    async with LoopbackServer(cap=1, latency_s=60) as server:
        asked = [asyncio.create_task(post(session, server)) for _ in range(3)]
        await until_in_flight(server, 3)
        for task in asked:
            task.cancel()
        await until_in_flight(server, 0)
        assert (server.bill.total.cancelled, server.bill.total.lost_tokens_in) == (3, 3)


# --- as a process -------------------------------------------------------------------------------------------------------


def ask(base_url: str, **more: Any) -> str:
    with openai.OpenAI(base_url=base_url, api_key="x", max_retries=0) as client:
        return client.chat.completions.create(**{**QUESTION, **more}).choices[0].message.content or ""


def test_as_a_child_it_has_its_flags_and_counts_from_the_last_reset() -> None:
    with ChildServer(price_in=2.0, cap=3, fault=["503=0.5", "429=0.5"]) as server:
        with pytest.raises((openai.InternalServerError, openai.RateLimitError)):
            ask(server.base_url)
        assert server.bill()["total"]["requests"] == server.stats()["requests"] == 1
        server.reset()
        assert server.bill()["total"]["requests"] == 0
        assert server.stats()["cpu_s"] > 0


def test_a_file_describes_several_models(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text('[[model]]\nmodel = "small"\nprice_in = 0.5\n[[model]]\nmodel = "large"\nprice_in = 5.0\n')
    with ChildServer(models=file) as server:
        ask(server.base_url, model="small")
        ask(server.base_url, model="large")
        bill = server.bill()
    assert {name: line["usd"] for name, line in bill["models"].items()} == {"small": 1.5e-6, "large": 15e-6}


def test_a_child_ends_with_its_standard_input() -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert int(child.stdout.readline()) > 0
        child.stdin.close()
        assert child.wait(30) == 0


def test_profiles_and_a_description_of_one_contradict_each_other() -> None:
    with pytest.raises(TypeError, match="latency_s"):
        LoopbackServer(SMALL, latency_s=1.0)
