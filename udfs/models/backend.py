"""How a backend declares itself: one module here (or one entry point in ``anserdb.models``), one ``BACKEND``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from .base import Model, ModelSpec

Check = Callable[[Any], Any]
_SPACE = re.compile(r"\s")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """An option of ``CREATE MODEL``.

    Parameters
    ----------
    check : returns the cleaned value, or raises ``ValueError`` that says what is allowed.
    summary : one line for help and documentation.
    """

    check: Check
    summary: str


@dataclass(frozen=True, slots=True)
class Backend:
    """A provider of models.

    Parameters
    ----------
    provider : the word after ``provider`` in ``CREATE MODEL``.
    create : builds a model from a checked spec. Imports what is heavy inside; opens nothing until the first call.
    options : what ``CREATE MODEL`` takes.
    builtin : models that exist without ``CREATE MODEL``.
    requires : the extra that installs what it needs (``local`` for ``pip install anserdb[local]``); empty: nothing.
    local : it always runs in this process, so that its tokens cost nothing.
    tells : its models say when a request leaves (:func:`.sending.sent`), so that what was never sent is never counted.
    also : other names of the provider. synonyms : other names of options, and what they stand for.
    """

    provider: str
    create: Callable[[ModelSpec], Model]
    options: Mapping[str, OptionSpec] = field(default_factory=dict)
    builtin: tuple[ModelSpec, ...] = ()
    requires: str = ""
    local: bool = False
    tells: bool = False
    also: tuple[str, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)


def text(value: Any) -> str:
    """Any non-empty string.

    >>> text("gpt-4.1-mini")
    'gpt-4.1-mini'
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it must be a non-empty string")
    return value


def boolean(value: Any) -> bool:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        raise ValueError("it must be true or false")
    return value


def positive_integer(value: Any) -> int:
    """A whole number from 1 upward."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value) or value < 1:
        raise ValueError("it must be a whole number from 1 upward")
    return int(value)


def integer(value: Any) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise ValueError("it must be a whole number")
    return int(value)


def non_negative(value: Any) -> float:
    """A number from 0 upward."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError("it must be a number from 0 upward")
    return float(value)


def positive(value: Any) -> float:
    """A number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise ValueError("it must be a number above 0")
    return float(value)


def ratio(value: Any) -> float:
    """A number from 0 to 1."""
    if non_negative(value) > 1:
        raise ValueError("it must be a number from 0 to 1")
    return float(value)


def one_of(*allowed: str) -> Check:
    """One of the given words.

    >>> one_of("auto", "none")("auto")
    'auto'
    """

    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"it must be one of {', '.join(map(repr, allowed))}")
        return str(value)

    return check


def url(value: Any) -> str:
    """An http(s) address without credentials, query or trailing slash: it is printed in messages and stored.

    >>> url("http://127.0.0.1:8000/v1/")
    'http://127.0.0.1:8000/v1'
    """
    where = text(value).strip()
    wrong = "it must be an address like https://host/v1"
    try:
        parts = urlsplit(where)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not _SPACE.search(where)
    except ValueError:  # a port that is none, half an IPv6 address
        raise ValueError(wrong) from None
    if not whole:
        raise ValueError(wrong)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("it must not hold credentials or a query; name the key's variable with api_key_env")
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


@lru_cache(maxsize=256)  # every call's price and record ask
def public_address(where: str) -> str:
    """An address as it may be printed and kept; one that comes from the environment was not checked as an option is.

    >>> public_address("https://me:secret@example.org/v1?key=1")
    'https://example.org/v1'
    """
    parts = urlsplit(where)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def one_or_several(check: Check, value: Any) -> Any:
    """A value, or a list of different ones: the addresses of servers that answer alike. A list of one is that one.

    >>> one_or_several(url, ["http://a/v1", "http://b/v1/"])
    ['http://a/v1', 'http://b/v1']
    """
    if not isinstance(value, list):
        return check(value)
    checked = [check(one) for one in value]
    if not checked or len(set(checked)) < len(checked):
        raise ValueError("a list must name at least one, and none twice")
    return checked if len(checked) > 1 else checked[0]


def environment_name(value: Any) -> str:
    """The name of an environment variable; a key pasted in its place is refused without being repeated."""
    if not isinstance(value, str) or not _NAME.match(value) or looks_like_key(value):
        raise ValueError("it must be the NAME of an environment variable that holds the key, such as OPENAI_API_KEY")
    return value


def secret_name(value: Any) -> str:
    """The name of a DuckDB secret; a key pasted in its place is refused without being repeated."""
    if not isinstance(value, str) or not _NAME.match(value) or looks_like_key(value):
        raise ValueError("it must be the NAME of a DuckDB secret that holds the key (CREATE SECRET name (…))")
    return value


def looks_like_key(value: object) -> bool:
    """Whether a value looks like a secret: the usual prefixes, a bearer header, 32 and more mixed characters in a row.

    >>> looks_like_key("sk-proj-abcdefghijklmnop"), looks_like_key("gpt-4.1-mini")
    (True, False)
    """
    return isinstance(value, str) and bool(_KEY.match(value.strip()))


COMMON_OPTIONS: Mapping[str, OptionSpec] = {
    "price_in": OptionSpec(non_negative, "US dollars per million input tokens"),
    "price_cached_in": OptionSpec(
        non_negative, "US dollars per million input tokens that its server had in a cache (default: price_in)"
    ),
    "price_out": OptionSpec(non_negative, "US dollars per million output tokens"),
    "concurrency": OptionSpec(positive_integer, "most calls in flight"),
    "rpm": OptionSpec(positive, "most requests per minute"),
    "tpm": OptionSpec(positive, "most tokens per minute"),
    "parameters": OptionSpec(positive, "billions of parameters, from which its energy is estimated"),
    "active_parameters": OptionSpec(positive, "billions of them that work on a token, in a mixture of experts"),
    "batch": OptionSpec(positive, "requests that its server works on at once, for the estimate of energy (default 64)"),
    "joules_in": OptionSpec(non_negative, "joules per input token, where its provider publishes them"),
    "joules_out": OptionSpec(non_negative, "joules per output token, where its provider publishes them"),
}
"""What every model takes, because nothing of it is the backend's business."""

_KEY = re.compile(
    r"(?:(?:sk|pk|rk|hf|gsk|xai|key|ghp|AIza)[-_]?[A-Za-z0-9_-]*[A-Za-z0-9]{12,}\Z)"
    r"|(?:Bearer\s)"
    r"|(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[a-z])(?=[A-Za-z0-9_-]*[A-Z])[A-Za-z0-9_-]{32,}\Z"
)
