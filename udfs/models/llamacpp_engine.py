"""One loaded GGUF file: llama.cpp's server inside this process, and the few threads that wait for it.

Engines are shared: every model on the same file with the same settings, in every connection, uses one.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...engine.errors import DownloadError

_ANSWER_S = 60
Payload = Mapping[str, Any]
Chunk = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What an engine depends on: ``slots`` requests at once, each with ``context_tokens``, on ``threads`` threads."""

    path: Path
    threads: int
    context_tokens: int
    slots: int


class Engine:
    """llama.cpp's server on one file. Made by :func:`lease`; its methods may be called from any thread."""

    def __init__(self, key: EngineKey) -> None:
        self._password = secrets.token_hex(16)
        self._server: Any = _start(key, self._password)
        self._pool = ThreadPoolExecutor(key.slots, thread_name_prefix=f"anser-{key.path.stem}")

    def submit(
        self, payload: Payload, stop: threading.Event, say: Callable[[str], object] | None = None
    ) -> Future[list[Chunk]]:
        """Queue a chat completion; the result is its stream of chunks. Setting ``stop`` ends it at the next token.

        ``say`` is called, on a thread, with the text of every chunk when it comes.
        """
        return self._pool.submit(self._chunks, payload, stop, say)

    def _chunks(self, payload: Payload, stop: threading.Event, say: Callable[[str], object] | None) -> list[Chunk]:
        chunks: list[Chunk] = []

        def receive(chunk: Chunk | list[Chunk]) -> bool:
            came = chunk if isinstance(chunk, list) else [chunk]
            chunks.extend(came)
            if say is not None and not stop.is_set() and (words := "".join(map(_text, came))):
                say(words)
            return stop.is_set()

        if not stop.is_set():
            self._server.handle_chat_completions({**payload, "stream": True}, receive)
        return chunks

    def count_tokens(self, text: str) -> Future[int]:
        """Queue a count of a text's tokens; words that mark turns count as the plain text they are."""
        return self._pool.submit(self._count, text)

    def _count(self, text: str) -> int:
        # The library hands out no tokenizer, but its server has one. No proxy stands between: urllib would ask for one.
        address = urlsplit(str(self._server.listening_address))
        connection = HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=_ANSWER_S)
        with closing(connection):
            whole = text.encode(errors="replace").decode()  # half a character is no JSON
            body = json.dumps({"content": whole, "add_special": False, "parse_special": False})
            headers = {"Authorization": f"Bearer {self._password}", "Content-Type": "application/json"}
            connection.request("POST", "/tokenize", body.encode(), headers)
            return len(json.loads(connection.getresponse().read())["tokens"])

    def close(self) -> None:
        """Wait for running requests, then free the memory."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._server = None


def _start(key: EngineKey, password: str) -> Any:
    # Imported here: the package is an extra, and loading it costs time that queries without a local model need not pay.
    xllamacpp: Any = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(key.path)
    params.n_ctx = key.context_tokens * key.slots
    params.n_parallel = key.slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = key.threads
    params.cache_ram_mib = (
        0  # the default keeps up to 8 GiB of old prompts; the slots themselves hold the shared prefix
    )
    params.verbosity = -1
    # The server also listens on a loopback port. Nobody else has any business there: a random key, and no web page.
    params.api_keys = [password]
    params.ui = False
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise DownloadError(
            f"llama.cpp cannot load {key.path}: {error} Is it a complete GGUF file, and is there enough memory "
            f"({key.path.stat().st_size / 1e6:,.0f} MB and the context)?"
        ) from error


@dataclass(slots=True)
class _Shared:
    engine: Engine | None = None
    users: int = 0


_ENGINES: dict[EngineKey, _Shared] = {}
_GUARD = threading.Lock()
_LOADING: dict[EngineKey, threading.Lock] = {}


def lease(key: EngineKey) -> Engine:
    """The engine for ``key``, loaded on first use. Every lease needs one :func:`release`. Blocks while it loads."""
    with _loading(key):
        with _GUARD:
            shared = _ENGINES.setdefault(key, _Shared())
        if shared.engine is None:
            shared.engine = Engine(key)
        shared.users += 1
        return shared.engine


def release(key: EngineKey) -> None:
    """Give a lease back; the last one frees the memory."""
    with _loading(key):
        shared = _ENGINES[key]
        shared.users -= 1
        if shared.users == 0 and shared.engine is not None:
            shared.engine.close()
            shared.engine = None


@contextmanager
def _loading(key: EngineKey) -> Iterator[None]:
    with _GUARD:
        lock = _LOADING.setdefault(key, threading.Lock())
    with lock:
        yield


def joined(chunks: list[Chunk], fail: Callable[[Mapping[str, Any]], Exception]) -> Mapping[str, Any]:
    """One answer from its chunks: ``text``, ``finish``, ``usage``, ``top`` (the first token's alternatives).

    Raises
    ------
    Exception : what ``fail`` makes of the server's error object.
    """
    text: list[str] = []
    answer: dict[str, Any] = {"finish": None, "usage": {}, "top": []}
    for chunk in chunks:
        if error := chunk.get("error"):
            raise fail(error)
        answer["usage"] = chunk.get("usage") or answer["usage"]
        text.append(_text(chunk))
        for choice in chunk.get("choices", ()):
            answer["finish"] = choice.get("finish_reason") or answer["finish"]
            tokens = (choice.get("logprobs") or {}).get("content") or ()
            if tokens and not answer["top"]:
                answer["top"] = tokens[0].get("top_logprobs", [])
    return {**answer, "text": "".join(text)}


def _text(chunk: Chunk) -> str:
    return "".join(choice.get("delta", {}).get("content") or "" for choice in chunk.get("choices", ()))
