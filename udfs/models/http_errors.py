"""From what a server or a socket said to one of our errors, in the vocabulary of the ``openai`` package's error bodies.

Nothing here keeps the server's words without :func:`redact`: servers echo keys.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from ...engine.errors import ModelError, ModelTimeout, ModelUnavailable, RateLimited
from .backend import looks_like_key
from .keys import KeySource, SecretKey
from .unavailable import Unready
from .wrap.gate import LONGEST_PAUSE_S

_SECRET = re.compile(r"(?:Bearer\s+\S+)|\b(?:sk|pk|rk|hf|gsk|xai)[-_][A-Za-z0-9_\-*.]{6,}")
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a call went, for messages: the model's SQL name and the server's, the address, and where the key is."""

    name: str
    model: str
    base_url: str
    api_key_env: str
    secret: SecretKey | None = None

    @property
    def key(self) -> KeySource:
        """Where the key is."""
        return KeySource(self.api_key_env, self.secret)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP error answer: ``code``, ``kind`` and ``param`` as the server's JSON named them, ``text`` redacted."""

    status: int
    text: str
    code: str = ""
    kind: str = ""
    param: str = ""
    retry_after_s: float | None = None


def redact(words: str, *secrets: str) -> str:
    """The words without any secret.

    >>> redact("bad key abc-42 and Bearer xyz", "abc-42")
    'bad key [key hidden] and [key hidden]'
    """
    for secret in secrets:
        if secret:
            words = words.replace(secret, "[key hidden]")
    return _SECRET.sub("[key hidden]", words)


def holds_key(words: str) -> bool:
    """Whether a text seems to hold a key, so that it is better not kept.

    >>> holds_key("LLM_COMPLETE('my key is sk-proj-abcdefgh01', body)"), holds_key("LLM_FILTER('is it a key?', body)")
    (True, False)
    """
    return redact(words) != words or any(map(looks_like_key, re.split(r"[\s'\"`,;()=]+", words)))


def read_refusal(status: int, headers: Mapping[str, str], body: bytes, *secrets: str) -> Refusal:
    """Read an error answer, whatever its shape."""
    raw = body.decode("utf-8", "replace")
    detail: object = None
    with suppress(ValueError):
        detail = json.loads(raw)
    if isinstance(detail, dict):
        detail = detail.get("error", detail)
    fields = detail if isinstance(detail, dict) else {}
    words = fields.get("message") or (detail if isinstance(detail, str) else raw)
    return Refusal(
        status,
        redact(" ".join(str(words).split()), *secrets)[:_SHOWN],
        code=redact(str(fields.get("code") or ""), *secrets),
        kind=redact(str(fields.get("type") or ""), *secrets),
        param=redact(str(fields.get("param") or ""), *secrets),
        retry_after_s=retry_after(headers),
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds a server asks to wait: ``retry-after-ms``, or ``Retry-After`` in seconds or as an HTTP date.

    >>> retry_after({"retry-after-ms": "1500"}), retry_after({"Retry-After": "2"})
    (1.5, 2.0)
    """
    lower = {name.lower(): value for name, value in headers.items() if name.lower().startswith("retry-after")}
    try:
        if milliseconds := lower.get("retry-after-ms"):
            return _finite(float(milliseconds) / 1000)
        if seconds := lower.get("retry-after"):
            return _finite(_seconds(seconds))
    except (ValueError, TypeError, OverflowError):
        return None
    return None


def _finite(seconds: float) -> float | None:
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return parsedate_to_datetime(value).timestamp() - time.time()


def refused(refusal: Refusal, where: Endpoint) -> ModelError:
    """The error for an HTTP error answer."""
    said = f" The server says: {refusal.text}" if refusal.text else ""
    match refusal.status:
        case 401 | 403:
            return _hopeless(f"{_who(where)} refused the key from the {where.key}.{said}", where.name)
        case 404:
            hint = "Check the option model and that base_url ends in the API's version, such as /v1."
            return _hopeless(f"{_who(where)} was not found. {hint}{said}", where.name)
        case 429 if refusal.code == "insufficient_quota" or refusal.kind == "insufficient_quota":
            return _hopeless(f"{_who(where)}: the account's quota is used up; waiting does not help.{said}", where.name)
        case 429:
            return _paused(RateLimited, "asks for fewer requests", refusal, where)
        case 408 | 409:
            return _paused(Unready, f"could not answer now (HTTP {refusal.status})", refusal, where)
        case status if status >= 500:
            return _paused(Unready, f"is failing (HTTP {status})", refusal, where)
        case _ if too_long(refusal):
            hint = "Shorten the input, or use a model with a longer context."
            return ModelError(f"The input is too long for {_who(where, start=False)}. {hint}{said}", where.name)
        case status:
            return ModelError(f"{_who(where)} refused the request (HTTP {status}).{said}", where.name)


def too_long(refusal: Refusal) -> bool:
    """Whether the refusal is about the context length."""
    words = refusal.text.lower()
    coded = "context_length_exceeded" in refusal.code or "exceed_context_size" in refusal.kind  # OpenAI, llama.cpp
    return coded or any(phrase in words for phrase in ("context length", "context window", "context size"))


def unreachable(where: Endpoint, reason: str) -> ModelUnavailable:
    """Nobody listens, the name is unknown, or the connection broke."""
    hint = "Check that the server runs and that base_url is right."
    return ModelUnavailable(f"Model {where.name}: no connection to {where.base_url} ({reason}). {hint}", where.name)


def broke_off(where: Endpoint) -> ModelUnavailable:
    """A streamed answer ended before it was whole."""
    return ModelUnavailable(f"{_who(where)} broke off in the middle of its answer.", where.name)


def timed_out(where: Endpoint, seconds: float) -> ModelTimeout:
    """No answer in time."""
    hint = "Raise timeout_s, or ask for fewer tokens."
    return ModelTimeout(f"{_who(where)} did not answer within {seconds:g} s. {hint}", where.name)


def missing_key(where: Endpoint) -> ModelError:
    """The environment has no key for a server that is not on this machine."""
    return _hopeless(
        f"Model {where.name} needs a key: set the environment variable {where.api_key_env}, or name another one with "
        f"the option api_key_env of CREATE MODEL.",
        where.name,
    )


def unread_secret(where: Endpoint, reason: str) -> ModelError:
    """The database's secret cannot be read."""
    return _hopeless(f"Model {where.name} takes its key from a DuckDB secret. {reason}", where.name)


def _paused(kind: type[RateLimited | Unready], what: str, refusal: Refusal, where: Endpoint) -> ModelError:
    """A refusal that may say when to come back; if that is too late to be waited for, this query comes to nothing."""
    said = f" The server says: {refusal.text}" if refusal.text else ""
    seconds = refusal.retry_after_s
    if seconds is None or seconds <= LONGEST_PAUSE_S:
        return kind(f"{_who(where)} {what}.{said}", where.name, seconds)
    hint = "What is answered is kept: run the query again then."
    words = f"{_who(where)} asks for no request in the next {seconds:,.0f} s. {hint}{said}"
    error = kind(words, where.name, seconds)
    error.hopeless = True
    return error


def _hopeless(message: str, name: str) -> ModelError:
    error = ModelError(message, name)
    error.hopeless = True
    return error


def _who(where: Endpoint, *, start: bool = True) -> str:
    return f"{'Model' if start else 'model'} {where.name} ({where.model} at {where.base_url})"
