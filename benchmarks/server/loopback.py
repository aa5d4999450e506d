"""The simulator over HTTP on 127.0.0.1: its life, and who answers which path."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiohttp import web

from .answers import Answer, scripted_answer
from .delivery import deliver, refusal, reset
from .desk import Broken, Desk, Kind, MeetFault, Refused, Served
from .faults import Fault
from .profile import Profile
from .seen import Seen
from .tokenizing import Tokenizer, tokens_reply

_KINDS: Mapping[str, Kind] = {"/v1/chat/completions": "chat", "/v1/completions": "text", "/v1/embeddings": "embed"}


class LoopbackServer(Seen):
    """A SIMULATOR of an OpenAI-compatible server: real HTTP, invented answers, faults on demand::

        async with LoopbackServer() as server: ...        # in the running loop
        with LoopbackServer() as server: ...              # in a thread of its own

    Answers are those of ``ScriptedModel`` for the same text and seed, so that both roads can be compared.

    Parameters
    ----------
    profiles : the models; with none, one model that ``one`` describes in the words of :class:`Profile`.
    port : where to listen; 0: where there is room.
    schedule : fault by number of the request (from 0); ``fault`` : or by a function of number and body (``FaultRates``).
    reject : top-level keys, or types of ``response_format``, that get a 400 as from a server that does not know them.
    answer : the answer's text from the request's body, or a log-probability for each choice (default: ScriptedModel's).
    tokenize : whose ``/tokenize`` it offers. keep_bodies : off for benchmarks.
    """

    def __init__(
        self,
        *profiles: Profile,
        port: int = 0,
        schedule: Mapping[int, Fault] | None = None,
        fault: MeetFault | None = None,
        reject: Collection[str] = (),
        answer: Callable[[dict[str, Any]], Answer] | None = None,
        seed: int = 0,
        tokenize: Tokenizer | None = None,
        keep_bodies: bool = True,
        **one: Any,
    ) -> None:
        if profiles and one:
            raise TypeError(f"{', '.join(one)}: say it in the profiles")
        self._tokenize: Tokenizer | None = tokenize
        self._port, self._keep = port, keep_bodies
        self._desk = Desk(
            profiles or (Profile(**one),), schedule=schedule or {}, fault=fault, reject=reject,
            answer=answer or (lambda body: scripted_answer(body, seed)), seed=seed,
        )  # fmt: skip
        self._runner: web.ServerRunner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

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
        # A request whose client is gone must count as gone, for the tests of cancellation.
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=4096)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._desk.closing.set()
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
        try:
            if request.method == "POST":
                return await self._post(request, request.path)
            return self._get(request.path)
        except Refused as refused:
            return refusal(refused, request.headers)
        except (Broken, ConnectionResetError):  # of a fault, or a client that was gone before its answer
            reset(request)
            return web.Response()

    def _get(self, path: str) -> web.Response:
        match path:
            case "/health":
                return web.Response()
            case "/stats":
                return web.json_response({**self.stats.numbers(), "cpu_s": time.process_time()})
            case "/bill":
                return web.json_response(self.bill.as_json())
            case "/v1/models":
                data = [{"id": profile.model, "object": "model"} for profile in self._desk.profiles]
                return web.json_response({"object": "list", "data": data})
            case _:
                raise Refused(404, f"no such path: {path}")

    async def _post(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if path == "/reset":
            self._desk.reset()
            return web.Response()
        if self._tokenize is not None and path == "/tokenize":
            body = await _json(request)
            self.stats.tokenized.append(body)
            return web.json_response(tokens_reply(self._tokenize, body, self._desk.profiles[0].model))
        if path not in _KINDS:
            self.stats.unknown_paths.append(path)
            raise Refused(404, f"no such path: {path}")
        body = await _json(request)
        if self._keep:
            self.stats.bodies.append(body)
            self.stats.headers.append(request.headers)

        async def over_http(served: Served) -> web.StreamResponse:
            return await deliver(request, body, served)

        return await self._desk.serve(_KINDS[path], body, over_http)


async def _json(request: web.BaseRequest) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(400, "the body is no JSON object")
    return body
