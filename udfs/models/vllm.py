"""Provider ``vllm``: a vLLM server that runs already (``base_url``), or one that we start (``serve``).

The protocol is OpenAI's; vLLM adds ``structured_outputs``, which constrains an answer to a choice, a schema or a
regular expression without JSON around it: the first token of a reply decides a choice, and its probability is a score.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from ...engine.errors import BindError
from .backend import (
    Backend,
    OptionSpec,
    boolean,
    environment_name,
    non_negative,
    positive,
    positive_integer,
    secret_name,
    text,
    url,
)
from .base import Capabilities, Model, ModelSpec, Reply, Request
from .chat_format import Dialect
from .chat_model import ChatModel, Embedding
from .http_errors import Endpoint
from .http_transport import HttpTransport, on_this_machine
from .server_tokenizer import ServerTokenizer
from .vllm_server import ServerProcess, vllm_command

DEFAULT_KEY = "VLLM_API_KEY"
DEFAULT_CONCURRENCY = 64
PREFIX_BLOCK_TOKENS = 16
"""The server's own default (``--block-size``)."""


class Served:
    """A model whose server is started at the first call and stopped by ``close``.

    Parameters
    ----------
    identity, capabilities : known before the server runs.
    server : the child process.
    connect : a model for the server's address.
    """

    def __init__(
        self, identity: str, capabilities: Capabilities, server: ServerProcess, connect: Callable[[str], ChatModel]
    ) -> None:
        self._identity, self._capabilities = (
            identity,
            replace(capabilities, count_tokens=self._count, counts_now=self._counts_now),
        )
        self._server, self._connect = server, connect
        self._model: ChatModel | None = None
        self._starting: asyncio.Lock | None = None

    @property
    def identity(self) -> str:
        """Names the weights, not the port."""
        return self._identity

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    async def call(self, request: Request) -> Reply:
        """Start the server if it does not run yet, and call."""
        return await (self._model or await self._start()).call(request)

    async def _count(self, text: str) -> int:
        count = (self._model or await self._start()).capabilities.count_tokens
        assert count is not None
        return await count(text)

    def _counts_now(self) -> bool:
        return self._model is not None and self._model.capabilities.counts_now()

    async def close(self) -> None:
        """Close the connections and stop the server."""
        model, self._model, self._starting = self._model, None, None
        if model is not None:
            await model.close()
        await self._server.stop()

    async def _start(self) -> ChatModel:
        self._starting = self._starting or asyncio.Lock()
        async with self._starting:
            if self._model is None:
                self._model = self._connect(await self._server.start())
            return self._model


def create(spec: ModelSpec) -> Model:
    """A model from ``CREATE MODEL`` options; connects, or starts its server, at the first call."""
    options = cast(Mapping[str, Any], spec.options)
    serve, base_url = options.get("serve"), options.get("base_url")
    if (serve is None) == (base_url is None):
        hint = "base_url for a server that runs, or serve for a model that AnserDB starts a server for"
        raise BindError(f"Model {spec.name}: a vllm model takes exactly one of two options: {hint}.", name=spec.name)
    name = options.get("model", serve or spec.name)
    embedding = Embedding(options.get("dimension"), options.get("query_prefix", ""), options.get("passage_prefix", ""))
    identity = f"vllm:{serve or base_url}:{name}" + ("" if embedding == Embedding() else f":{embedding}")
    capabilities = _capabilities(options)

    def connect(address: str) -> ChatModel:
        where = Endpoint(
            spec.name, name, address, options.get("api_key_env", DEFAULT_KEY), options.get("api_key_secret")
        )
        transport = HttpTransport(where, timeout_s=options.get("timeout_s", 60.0), connections=capabilities.concurrency)
        tokenizer = ServerTokenizer(transport, name)
        counts = replace(capabilities, count_tokens=tokenizer.count, counts_now=tokenizer.ready)
        return ChatModel(identity, counts, transport, Dialect(name, "structured_outputs", scores=True), embedding)

    if serve is None:
        return connect(str(base_url))
    command = vllm_command(serve, name, python=options.get("python", ""), extra=options.get("args", ""))
    server = ServerProcess(spec.name, command, start_timeout_s=options.get("start_timeout_s", 600.0))
    return Served(identity, capabilities, server, connect)


def _capabilities(options: Mapping[str, Any]) -> Capabilities:
    embeds = options.get("embeds", False)
    return Capabilities(
        generates=not embeds,
        embeds=embeds,
        choice_scores=not embeds,
        local="serve" in options or on_this_machine(options["base_url"]),
        concurrency=options.get("concurrency", DEFAULT_CONCURRENCY),
        prefix_cache=True,
        prefix_block_tokens=PREFIX_BLOCK_TOKENS,
        dimension=options.get("dimension"),
    )


BACKEND = Backend(
    provider="vllm",
    tells=True,
    create=create,
    options={
        "model": OptionSpec(text, "the served model's name (default: serve, or the SQL name)"),
        "base_url": OptionSpec(url, "a server that runs, such as http://127.0.0.1:8000/v1, or a list of them"),
        "serve": OptionSpec(text, "a model folder or hub name: AnserDB starts a server for it and stops it again"),
        "python": OptionSpec(text, "the Python interpreter that has vllm (default: this one)"),
        "args": OptionSpec(text, "more arguments for the server, such as '--max-model-len 4096'"),
        "start_timeout_s": OptionSpec(positive, "seconds until the server must be ready (default 600)"),
        "api_key_env": OptionSpec(environment_name, f"NAME of the variable that holds the key (default {DEFAULT_KEY})"),
        "api_key_secret": OptionSpec(secret_name, "NAME of a DuckDB secret that holds the key, in place of a variable"),
        "price_in": OptionSpec(non_negative, "US dollars per million input tokens"),
        "price_out": OptionSpec(non_negative, "US dollars per million output tokens"),
        "concurrency": OptionSpec(positive_integer, f"most calls in flight (default {DEFAULT_CONCURRENCY})"),
        "rpm": OptionSpec(positive, "most requests per minute"),
        "tpm": OptionSpec(positive, "most tokens per minute"),
        "timeout_s": OptionSpec(positive, "seconds for one attempt"),
        "context_tokens": OptionSpec(positive_integer, "tokens that fit into one request"),
        "embeds": OptionSpec(boolean, "it is an embedding model (default false)"),
        "dimension": OptionSpec(positive_integer, "length of its embeddings"),
        "query_prefix": OptionSpec(text, "put before an embedded query, such as 'query: '"),
        "passage_prefix": OptionSpec(text, "put before an embedded passage, such as 'passage: '"),
    },
)
