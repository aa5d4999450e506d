"""A model behind the chat-completions and embeddings protocol. Backends configure it; none subclasses it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...engine.errors import ModelError, NotSupportedError
from .base import Capabilities, ChoiceAnswer, Embed, Generate, Reply, Request
from .chat_format import Dialect, read_usage
from .chat_stream import ChatStream
from .hearing import Listener, listener
from .http_errors import refused
from .http_transport import HttpTransport, Refused
from .sending import answered


@dataclass(frozen=True, slots=True)
class Embedding:
    """How an embedding model is asked: the length of its vectors (``None``: as it comes) and its prefixes (e5)."""

    dimension: int | None = None
    query_prefix: str = ""
    passage_prefix: str = ""


class ChatModel:
    """A remote model.

    Parameters
    ----------
    identity, capabilities : as in :class:`~anserdb.udfs.models.base.Model`.
    transport : the connection. dialect : how to ask this server.
    embedding : how to ask for vectors.
    """

    def __init__(
        self,
        identity: str,
        capabilities: Capabilities,
        transport: HttpTransport,
        dialect: Dialect,
        embedding: Embedding = Embedding(),
    ) -> None:
        self._identity, self._capabilities = identity, capabilities
        self._transport, self._dialect, self._embedding = transport, dialect, embedding

    @property
    def identity(self) -> str:
        """Provider, address and the server's model name."""
        return self._identity

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    async def call(self, request: Request) -> Reply:
        """One request over HTTP, streamed where somebody listens (:mod:`.hearing`); see :mod:`.http_errors` for what may be raised."""
        match request:
            case Generate():
                return await self._generate(request)
            case Embed():
                return await self._embed(request)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def _generate(self, request: Generate) -> Reply:
        if not self._capabilities.generates:
            raise self._cannot("write text", "LLM_EMBED and LLM_SIMILARITY")
        heard = None if isinstance(request.answer, ChoiceAnswer) else listener()
        reply, seconds = await self._post(
            "/chat/completions", lambda: self._dialect.chat(request, stream=heard is not None), heard
        )
        answered(read_usage(reply))
        return self._dialect.read(request, reply, seconds, self._transport.where.name)

    async def _embed(self, request: Embed) -> Reply:
        if not self._capabilities.embeds:
            raise self._cannot("embed", "functions that write text; create an embedding model with embeds := true")
        how = self._embedding
        text = (how.query_prefix if request.role == "query" else how.passage_prefix) + request.text
        reply, seconds = await self._post("/embeddings", lambda: self._dialect.embeddings(text, how.dimension))
        return Reply(vector=self._vector(reply), usage=read_usage(reply), seconds=seconds)

    async def _post(
        self, path: str, body: Callable[[], Mapping[str, Any]], heard: Listener | None = None
    ) -> tuple[dict[str, Any], float]:
        """Post, leaving out what the server refuses (once per server, see :class:`Dialect`)."""
        while True:
            sent, started = body(), time.perf_counter()
            stream = ChatStream(heard) if heard is not None and "stream" in sent else None
            try:
                return await self._transport.post(path, sent, stream), time.perf_counter() - started
            except Refused as error:
                refusal = error.refusal
            # Where the body would differ now, another call in flight has learnt the lesson already.
            if body() == sent and not self._dialect.learn(refusal, stream=stream is not None):
                raise refused(refusal, self._transport.where)

    def _vector(self, reply: Mapping[str, Any]) -> tuple[float, ...]:
        name = self._transport.where.name
        try:
            vector = tuple(map(float, reply["data"][0]["embedding"]))
        except (KeyError, IndexError, TypeError, ValueError):
            raise ModelError(f"Model {name}: the server answered without an embedding.", name) from None
        wanted = self._embedding.dimension
        if wanted and len(vector) != wanted:
            hint = f"Create it with dimension := {len(vector)}."
            raise ModelError(f"Model {name} answers vectors of {len(vector)} numbers, not {wanted}. {hint}", name)
        return vector

    def _cannot(self, verb: str, use: str) -> NotSupportedError:
        return NotSupportedError(f"Model {self._transport.where.name} cannot {verb}; it is for {use}.")
