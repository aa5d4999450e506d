"""Every way a server can fail, over real HTTP, through the whole stack that ``open_model`` builds."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import stamina

from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import InvalidAnswer, ModelError, ModelTimeout, ModelUnavailable, RateLimited
from anserdb.udfs.models.base import ChoiceAnswer, Generate, Model, ModelSpec
from anserdb.udfs.models.registry import open_model
from anserdb.udfs.models.wrap.limited import Limited
from tests.support.loopback import Fault, Kind, LoopbackServer

KEY = "sk-planted-0123456789abcdefghij"
CHOICE = Generate("", "some text", ChoiceAnswer(("yes", "no")))


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


def connect(server: LoopbackServer, *, timeout_s: float = 30.0, max_retries: int = 3, **options: Any) -> Model:
    spec = ModelSpec("remote", "openai", {"base_url": server.base_url, **options})
    return open_model(spec, gates=Gates(LoopClock()).open, concurrency=8, timeout_s=timeout_s, max_retries=max_retries)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def failure(call: Awaitable[object]) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, {"Retry-After": "0.01"}),
        Fault(429, {"retry-after-ms": "5"}),
        Fault(429),
        Fault(500),
        Fault(503),
        Fault(408),
        Fault("drop"),
        Fault("garbage"),
        Fault("truncated_body"),
    ],
    ids=lambda fault: f"{fault.what}{''.join(fault.headers)}",
)
async def test_a_passing_fault_costs_one_retry(fault: Fault) -> None:
    async with LoopbackServer(schedule={0: fault}) as server:
        model = connect(server)
        reply = await model.call(CHOICE)
        await model.close()
    assert reply.text in ("yes", "no")
    assert reply.retries == 1
    assert server.stats.requests == 2


async def test_a_slow_server_times_out_and_is_asked_again() -> None:
    async with LoopbackServer(schedule={0: Fault("timeout")}) as server:
        model = connect(server, timeout_s=0.3)
        reply = await model.call(CHOICE)
        await model.close()
    assert (reply.retries, server.stats.requests) == (1, 2)


async def test_a_server_that_stays_slow_is_a_timeout() -> None:
    async with LoopbackServer(fault=lambda number, body: Fault("timeout")) as server:
        model = connect(server, timeout_s=0.1, max_retries=1)
        error = await failure(model.call(CHOICE))
        await model.close()
    assert isinstance(error, ModelTimeout)
    assert "did not answer within 0.1 s" in str(error)
    assert server.stats.requests == 2


@pytest.mark.parametrize("kind", ["wrong_schema", "truncated"])
async def test_a_wrong_answer_is_not_retried_here(kind: Kind) -> None:
    async with LoopbackServer(fault=lambda number, body: Fault(kind)) as server:
        model = connect(server)
        error = await failure(model.call(CHOICE))
        await model.close()
    assert isinstance(error, InvalidAnswer)
    assert server.stats.requests == 1


@pytest.mark.parametrize(("status", "words"), [(404, "was not found"), (400, "refused the request"), (301, "HTTP 301")])
async def test_a_lasting_fault_is_not_retried_and_names_model_and_address(status: int, words: str) -> None:
    async with LoopbackServer(fault=lambda number, body: Fault(status)) as server:
        model = connect(server, model="big-model")
        error = await failure(model.call(CHOICE))
        await model.close()
    assert words in str(error)
    assert "big-model" in str(error)
    assert server.base_url in str(error)
    assert server.stats.requests == 1


async def test_a_used_up_quota_is_not_waited_for() -> None:
    async with LoopbackServer(fault=lambda number, body: Fault(429, code="insufficient_quota")) as server:
        model = connect(server)
        error = await failure(model.call(CHOICE))
        await model.close()
    assert not isinstance(error, RateLimited)
    assert server.stats.requests == 1


async def test_an_input_that_is_too_long_says_so() -> None:
    message = "This model's maximum context length is 512 tokens, however you requested 600 (max_tokens 100)."
    async with LoopbackServer(fault=lambda number, body: Fault(400, message=message)) as server:
        model = connect(server)
        error = await failure(model.call(CHOICE))
        await model.close()
    assert "too long" in str(error)
    assert "512 tokens" in str(error)
    assert server.stats.requests == 1


async def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    model = open_model(
        ModelSpec("m", "openai", {"base_url": address}),
        gates=Gates(LoopClock()).open,
        concurrency=1,
        timeout_s=5,
        max_retries=1,
    )
    error = await failure(model.call(CHOICE))
    await model.close()
    assert isinstance(error, ModelUnavailable)
    assert address in str(error)
    assert "Check that the server runs" in str(error)


async def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    spec = ModelSpec("m", "openai", {"base_url": "http://no-such-host.invalid/v1"})
    model = open_model(spec, gates=Gates(LoopClock()).open, concurrency=1, timeout_s=20, max_retries=0)
    error = await failure(model.call(CHOICE))
    await model.close()
    assert isinstance(error, (ModelUnavailable, ModelTimeout))
    assert "no-such-host.invalid" in str(error)
    assert KEY not in everything(error, model)


async def test_rate_limits_of_a_server_lose_no_row() -> None:
    """The server takes four at a time and refuses the rest with Retry-After; forty callers all get their answer."""
    async with LoopbackServer(cap=4, overload="refuse", latency_s=0.002) as server:
        model = connect(server, max_retries=9, concurrency=8)
        asked = [Generate("", f"row {i}", ChoiceAnswer(("yes", "no"))) for i in range(40)]
        replies = await asyncio.gather(*[model.call(request) for request in asked])
        await model.close()
    assert len(replies) == 40
    assert server.stats.completed == 40
    assert server.stats.faults == sum(reply.retries for reply in replies)


async def test_cancelling_leaves_nothing_in_flight_and_the_model_usable() -> None:
    async with LoopbackServer(fault=lambda number, body: Fault("timeout") if number < 8 else None) as server:
        model = connect(server)
        tasks = [asyncio.create_task(model.call(CHOICE)) for _ in range(30)]
        await until(lambda: server.stats.in_flight == 8)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        await until(lambda: server.stats.in_flight == 0)
        limited = model._model  # type: ignore[attr-defined]
        assert isinstance(limited, Limited)
        assert limited.in_flight == 0
        assert (await model.call(CHOICE)).text in ("yes", "no")
        await model.close()
    assert server.stats.requests == 9


async def test_a_server_that_dies_and_comes_back() -> None:
    async with LoopbackServer() as server:
        model = connect(server, max_retries=0)
        await model.call(CHOICE)
        port = server.port
    assert isinstance(await failure(model.call(CHOICE)), ModelUnavailable)
    async with LoopbackServer(port=port):
        assert (await model.call(CHOICE)).text in ("yes", "no")
        await model.close()


# --- the key --------------------------------------------------------------------------------------------------------


def everything(error: BaseException, *objects: object) -> str:
    """All that a user, a log or a debugger's summary could show of an error and of what was involved."""
    trace = "".join(traceback.format_exception(error))
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        chain += [repr(seen), str(seen), repr(vars(seen))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join([trace, *chain, *map(repr, objects)])


@pytest.mark.parametrize(
    "fault",
    [
        Fault(401, message="Incorrect API key provided: {authorization}."),
        Fault(403, message="{authorization} may not use this model"),
        Fault(400, message="bad header Authorization: {authorization}"),
        Fault(500, message="internal error for {authorization}"),
        Fault(429, message="slow down, {authorization}"),
        Fault("drop"),
        Fault("garbage"),
        Fault("truncated_body"),
        Fault("timeout"),
    ],
    ids=lambda fault: str(fault.what),
)
async def test_a_planted_key_is_found_nowhere(
    fault: Fault, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    async with LoopbackServer(fault=lambda number, body: fault) as server:
        model = connect(server, api_key_env="MY_KEY", timeout_s=0.2, max_retries=1)
        with caplog.at_level(logging.DEBUG):
            error = await failure(model.call(CHOICE))
        assert server.stats.headers[0]["Authorization"] == f"Bearer {KEY}"  # it did travel
        shown = everything(error, model, model._model, model._model._model)  # type: ignore[attr-defined]
        await model.close()
    assert KEY not in shown + model.identity + caplog.text
    if fault.what in (401, 403):
        assert "MY_KEY" in str(error)
        assert "[key hidden]" in str(error)


async def test_a_key_of_no_known_shape_is_hidden_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "open sesame")
    async with LoopbackServer(fault=lambda number, body: Fault(401, message="wrong: {authorization}!")) as server:
        model = connect(server, api_key_env="MY_KEY")
        error = await failure(model.call(CHOICE))
        await model.close()
    assert "open sesame" not in everything(error)
