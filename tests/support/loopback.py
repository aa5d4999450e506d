"""A SIMULATOR of an OpenAI-compatible server on 127.0.0.1: real HTTP, invented answers, faults on demand.

Three ways to run it::

    async with LoopbackServer() as server: ...        # in the running loop
    with LoopbackServer() as server: ...              # in a thread of its own
    python tests/support/loopback.py --port 0         # as a child; prints its port, ends with its standard input

Answers are those of ``ScriptedModel`` for the same text and seed, so that both roads can be compared.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

from aiohttp import web
from multidict import CIMultiDictProxy

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.loopback_answers import (
    Answer,
    Tokenizer,
    chat_reply,
    embedding_reply,
    encode,
    refusal,
    scripted_answer,
    sse,
    tokens_reply,
)

Kind = Literal["timeout", "drop", "garbage", "invalid_choice", "truncated", "truncated_body"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request meets: an HTTP status (with headers), or a kind of misbehaviour."""

    what: int | Kind
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "simulated fault"
    code: str = ""


@dataclass(slots=True)
class Stats:
    """What the server saw. ``bodies`` and ``headers`` hold the requests when ``keep_bodies`` is on; ``tokenized`` those to ``/tokenize``."""

    requests: int = 0
    completed: int = 0
    faults: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    tokenized: list[dict[str, Any]] = field(default_factory=list)
    unknown_paths: list[str] = field(default_factory=list)
    headers: list[CIMultiDictProxy[str]] = field(default_factory=list)

    def numbers(self) -> dict[str, int]:
        """The counters, without what was kept."""
        names = ("requests", "completed", "faults", "tokens_in", "tokens_out", "in_flight", "max_in_flight")
        return {name: getattr(self, name) for name in names}


class LoopbackServer:
    """The simulator.

    Parameters
    ----------
    latency_s, jitter : each answer takes ``latency_s`` seconds, times 1 ± jitter.
    cap : most requests served at once; the rest wait (``overload='queue'``) or get 429 (``'refuse'``).
    rpm : requests in any 60 seconds beyond which 429 with Retry-After comes.
    schedule : fault by number of the request (from 0); ``fault`` : or by a function of number and body.
    reject : top-level keys, or types of ``response_format``, that get a 400 as from a server that does not know them.
    answer : the answer's text from the request's body (default: ScriptedModel's for ``seed``).
    dimension : length of embeddings. tokenize : whose ``/tokenize`` it offers (a token is a word). keep_bodies : off for benchmarks.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        latency_s: float = 0.0,
        jitter: float = 0.0,
        cap: int | None = None,
        overload: Literal["queue", "refuse"] = "queue",
        rpm: int | None = None,
        schedule: Mapping[int, Fault] | None = None,
        fault: Callable[[int, dict[str, Any]], Fault | None] | None = None,
        reject: Collection[str] = (),
        answer: Callable[[dict[str, Any]], Answer] | None = None,
        seed: int = 0,
        dimension: int = 16,
        model: str = "simulated",
        tokenize: Tokenizer | None = None,
        keep_bodies: bool = True,
    ) -> None:
        self._port, self._latency_s, self._jitter = port, latency_s, jitter
        self._cap, self._overload, self._rpm = cap, overload, rpm
        self._schedule, self._fault, self._reject = dict(schedule or {}), fault, frozenset(reject)
        self._answer = answer or (lambda body: scripted_answer(body, seed))
        self._seed, self._dimension, self._model, self._keep = seed, dimension, model, keep_bodies
        self._tokenize = tokenize
        self._random = Random(seed)
        self._recent: deque[float] = deque()
        self._runner: web.ServerRunner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.stats = Stats()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def base_url(self) -> str:
        """The address for ``base_url``."""
        return f"http://127.0.0.1:{self._port}/v1"

    # --- life ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> LoopbackServer:
        self._slots = asyncio.Semaphore(self._cap or sys.maxsize)
        self._hang = asyncio.Event()
        # A request whose client is gone must count as gone, for the tests of cancellation.
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=4096)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hang.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def __enter__(self) -> LoopbackServer:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loopback", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.__aenter__(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._thread is not None:
            asyncio.run_coroutine_threadsafe(self.__aexit__(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
            self._loop = self._thread = None

    # --- requests -----------------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            return await self._post(request, request.path)
        match request.path:
            case "/health":
                return web.Response()
            case "/stats":
                return web.json_response(self.stats.numbers())
            case "/v1/models":
                return web.json_response({"object": "list", "data": [{"id": self._model, "object": "model"}]})
            case _:
                return refusal(404, f"no such path: {request.path}")

    async def _post(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if self._tokenize is not None and path == "/tokenize":
            body = await request.json()
            self.stats.tokenized.append(body)
            return tokens_reply(self._tokenize, body, self._model)
        if path not in ("/v1/chat/completions", "/v1/embeddings"):
            self.stats.unknown_paths.append(path)
            return refusal(404, f"no such path: {path}")
        number, stats = self.stats.requests, self.stats
        stats.requests += 1
        stats.in_flight += 1
        stats.max_in_flight = max(stats.max_in_flight, stats.in_flight)
        try:
            body = await request.json()
            if self._keep:
                stats.bodies.append(body)
                stats.headers.append(request.headers)
            fault = self._schedule.get(number) or (self._fault(number, body) if self._fault else None) or self._limits()
            return await self._serve(request, path, body, fault)
        finally:
            stats.in_flight -= 1

    def _limits(self) -> Fault | None:
        if self._overload == "refuse" and self._slots.locked():
            return Fault(429, {"Retry-After": "0.05"}, "too many requests in flight")
        if self._rpm is None:
            return None
        now = asyncio.get_running_loop().time()
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        if len(self._recent) >= self._rpm:
            return Fault(429, {"Retry-After": f"{self._recent[0] + 60 - now:.3f}"}, "rate limit reached")
        self._recent.append(now)
        return None

    async def _serve(
        self, request: web.BaseRequest, path: str, body: dict[str, Any], fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None:
            self.stats.faults += 1
            if (response := await self._misbehave(request, fault)) is not None:
                return response
        if word := self._rejected(body):
            return refusal(400, f"Invalid parameter: '{word}' is not supported by this server.", param=word)
        async with self._slots:
            if self._latency_s:
                await asyncio.sleep(self._latency_s * (1 + self._jitter * self._random.uniform(-1, 1)))
            return await self._reply(request, path, body, fault)

    def _rejected(self, body: dict[str, Any]) -> str:
        if not self._reject:
            return ""
        words = {*body, str((body.get("response_format") or {}).get("type"))}
        return next((word for word in sorted(self._reject) if word in words), "")

    async def _misbehave(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse | None:
        match fault.what:
            case int(status):
                # Servers echo keys: the message may quote the header for a test that looks for it.
                message = fault.message.replace("{authorization}", request.headers.get("Authorization", ""))
                return refusal(status, message, code=fault.code, headers=fault.headers)
            case "timeout":
                await self._hang.wait()
                return web.Response(status=503)
            case "drop":
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            case "garbage":
                return web.Response(body=b"<html>proxy says hello</html>", content_type="text/html")
            case "truncated_body":
                response = web.StreamResponse(headers={"Content-Length": "1000"})
                await response.prepare(request)
                await response.write(b'{"choices": [')
                if request.transport is not None:
                    request.transport.abort()
                return response
            case _:
                return None

    async def _reply(
        self, request: web.BaseRequest, path: str, body: dict[str, Any], fault: Fault | None
    ) -> web.StreamResponse:
        stats = self.stats
        if path.endswith("embeddings"):
            reply = embedding_reply(body, self._dimension, self._seed)
        else:
            reply = chat_reply(body, self._answer(body), fault.what if fault else "")
            stats.tokens_out += reply["usage"]["completion_tokens"]
        stats.tokens_in += reply["usage"]["prompt_tokens"]
        if body.get("stream"):
            response = await sse(request, reply)
        else:
            response = web.Response(body=encode(reply), content_type="application/json")
        stats.completed += 1
        return response


def main() -> None:
    """The child: print the port, serve until standard input ends (so that no parent leaves it behind)."""
    import argparse

    parser = argparse.ArgumentParser(description="Simulator of an OpenAI-compatible server, for tests and benchmarks.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1"])
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--cap", type=int)
    parser.add_argument("--overload", choices=["queue", "refuse"], default="queue")
    parser.add_argument("--rpm", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dimension", type=int, default=16)
    parser.add_argument("--model", default="simulated")
    parser.add_argument("--tokenize", choices=["vllm", "llamacpp"])
    parser.add_argument("--served-model-name", default="")
    parser.add_argument("--forever", action="store_true", help="do not end with standard input")
    given = vars(parser.parse_args())
    forever, latency_ms = given.pop("forever"), given.pop("latency_ms")
    given.pop("host")
    given["model"] = given.pop("served_model_name") or given["model"]

    async def serve() -> None:
        async with LoopbackServer(latency_s=latency_ms / 1000, keep_bodies=False, **given) as server:
            print(server.port, flush=True)
            if forever:
                await asyncio.Event().wait()
            await asyncio.to_thread(sys.stdin.read)

    asyncio.run(serve())


if __name__ == "__main__":
    main()
