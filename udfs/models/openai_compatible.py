"""Provider ``openai``: OpenAI itself and any server that speaks its protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from .backend import (
    Backend,
    OptionSpec,
    boolean,
    environment_name,
    non_negative,
    one_of,
    positive,
    positive_integer,
    secret_name,
    text,
    url,
)
from .base import Capabilities, Model, ModelSpec
from .chat_format import Dialect, Form
from .chat_model import ChatModel, Embedding
from .http_errors import Endpoint
from .http_transport import HttpTransport
from .openai_defaults import DEFAULT_BASE_URL, default_base_url
from .server_tokenizer import ServerTokenizer

DEFAULT_KEY = "OPENAI_API_KEY"
DEFAULT_CONCURRENCY = 64
OPENAI_PREFIX_TOKENS = (128, 1024)
"""A prefix is reused in steps of the one from the other upward."""
# What the openai package says of itself; we are not it.
_ITS_OWN = ("x-stainless", "user-agent", "accept", "content-type", "authorization")


def create(spec: ModelSpec) -> Model:
    """A model from ``CREATE MODEL`` options; connects at the first call."""
    options = cast(Mapping[str, Any], spec.options)
    name = options.get("model", spec.name)
    base_url = options.get("base_url") or default_base_url()
    where = Endpoint(spec.name, name, base_url, options.get("api_key_env", DEFAULT_KEY), options.get("api_key_secret"))
    embedding = Embedding(options.get("dimension"), options.get("query_prefix", ""), options.get("passage_prefix", ""))
    capabilities = _capabilities(options, base_url)

    async def headers() -> Mapping[str, str]:
        found = {} if "base_url" in options else await asyncio.to_thread(_package_headers, base_url)
        return {**found, **({"OpenAI-Organization": options["organization"]} if "organization" in options else {})}

    transport = HttpTransport(
        where,
        timeout_s=options.get("timeout_s", 60.0),
        connections=capabilities.concurrency,
        extra_headers=headers,
    )
    if base_url != DEFAULT_BASE_URL:
        tokenizer = ServerTokenizer(transport, name)
        capabilities = replace(capabilities, count_tokens=tokenizer.count, counts_now=tokenizer.ready)
    dialect = Dialect(name, _form(options), scores=capabilities.choice_scores)
    return ChatModel(_identity(base_url, name, embedding), capabilities, transport, dialect, embedding)


def _capabilities(options: Mapping[str, Any], base_url: str) -> Capabilities:
    embeds = options.get("embeds", False)
    # Of a server that speaks the protocol nothing is known; OpenAI says this of its own.
    its_own = base_url == DEFAULT_BASE_URL
    block, least = OPENAI_PREFIX_TOKENS if its_own else (1, 0)
    return Capabilities(
        generates=not embeds,
        embeds=embeds,
        choice_scores=options.get("logprobs", False),
        concurrency=options.get("concurrency", DEFAULT_CONCURRENCY),
        prefix_cache=not embeds and options.get("prefix_cache", its_own),
        prefix_block_tokens=options.get("prefix_block_tokens", block),
        prefix_min_tokens=options.get("prefix_min_tokens", least),
        dimension=options.get("dimension"),
    )


def _form(options: Mapping[str, Any]) -> Form:
    form = options.get("structured", "auto")
    return cast(Form, "json_schema" if form == "auto" else form)


def _identity(base_url: str, name: str, embedding: Embedding) -> str:
    details = "" if embedding == Embedding() else f":{embedding}"
    return f"openai:{base_url}:{name}{details}"


def _package_headers(base_url: str) -> Mapping[str, str]:
    """What the ``openai`` package would send from its environment: organization, project, custom headers.

    Only for the address that the environment names or implies: headers meant for it go nowhere else.
    """
    import openai

    with openai.OpenAI(api_key="unused", base_url=base_url) as client:
        found = {name: value for name, value in client.default_headers.items() if isinstance(value, str)}
    return {name: value for name, value in found.items() if not name.lower().startswith(_ITS_OWN)}


BACKEND = Backend(
    provider="openai",
    tells=True,
    create=create,
    options={
        "model": OptionSpec(text, "the server's own name of the model (default: the SQL name)"),
        "base_url": OptionSpec(
            url, "the server, such as http://127.0.0.1:8000/v1, or a list (default: OPENAI_BASE_URL or OpenAI)"
        ),
        "api_key_env": OptionSpec(environment_name, f"NAME of the variable that holds the key (default {DEFAULT_KEY})"),
        "api_key_secret": OptionSpec(secret_name, "NAME of a DuckDB secret that holds the key, in place of a variable"),
        "organization": OptionSpec(text, "the organization's id (default: OPENAI_ORG_ID)"),
        "price_in": OptionSpec(non_negative, "US dollars per million input tokens"),
        "price_out": OptionSpec(non_negative, "US dollars per million output tokens"),
        "concurrency": OptionSpec(positive_integer, f"most calls in flight (default {DEFAULT_CONCURRENCY})"),
        "rpm": OptionSpec(positive, "most requests per minute"),
        "tpm": OptionSpec(positive, "most tokens per minute"),
        "timeout_s": OptionSpec(positive, "seconds for one attempt"),
        "context_tokens": OptionSpec(positive_integer, "tokens that fit into one request"),
        "structured": OptionSpec(one_of("auto", "json_schema", "json_object", "none"), "how answers are constrained"),
        "logprobs": OptionSpec(boolean, "ask for token probabilities, so that choices get scores (default false)"),
        "prefix_cache": OptionSpec(
            boolean, "the server reuses the beginnings of prompts (default: only OpenAI's own address)"
        ),
        "prefix_block_tokens": OptionSpec(positive_integer, "tokens in a block of that cache (default 1; OpenAI 128)"),
        "prefix_min_tokens": OptionSpec(
            positive_integer, "tokens of the shortest beginning that is reused (default 0; OpenAI 1024)"
        ),
        "embeds": OptionSpec(boolean, "it is an embedding model (default false)"),
        "dimension": OptionSpec(positive_integer, "length of its embeddings"),
        "query_prefix": OptionSpec(text, "put before an embedded query, such as 'query: '"),
        "passage_prefix": OptionSpec(text, "put before an embedded passage, such as 'passage: '"),
    },
    builtin=(
        ModelSpec("gpt-4.1-mini", "openai", {"model": "gpt-4.1-mini"}),
        ModelSpec("gpt-4.1-nano", "openai", {"model": "gpt-4.1-nano"}),
        ModelSpec("gpt-4o-mini", "openai", {"model": "gpt-4o-mini"}),
        ModelSpec(
            "text-embedding-3-small",
            "openai",
            {"model": "text-embedding-3-small", "embeds": True, "dimension": 1536},
        ),
    ),
)
