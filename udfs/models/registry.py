"""Which backends exist, which models come with them, and how a spec becomes a model behind retry and limits.

A backend is found by its module-level ``BACKEND`` in this package, or by an entry point in the group ``anserdb.models``
that loads one; adding one touches no list.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from ...engine.errors import BindError, NotSupportedError
from .backend import COMMON_OPTIONS, Backend, OptionSpec, looks_like_key, one_or_several, public_address
from .base import Model, ModelSpec
from .keys import ReadSecret, SecretKey, no_secrets
from .openai_defaults import default_base_url
from .wrap.gate import Gates, Limits
from .wrap.hedge import Hedge
from .wrap.limited import Limited
from .wrap.retried import Retried

ENTRY_POINTS = "anserdb.models"
_SECRET_NAMES = frozenset({"api_key", "apikey", "key", "token", "secret", "password", "authorization"})
_SYNONYMS = {"context": "context_tokens"}


@lru_cache(maxsize=1)
def backends() -> Mapping[str, Backend]:
    """Every backend by provider name. An installed entry point may not replace one of ours.

    >>> "openai" in backends()
    True
    """
    found: dict[str, Backend] = {}
    for backend in (*_own(), *_installed()):
        found.setdefault(backend.provider, backend)
    return MappingProxyType(found)


def _own() -> Iterator[Backend]:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.ispkg:
            backend = getattr(importlib.import_module(f"{package}.{module.name}"), "BACKEND", None)
            if isinstance(backend, Backend):
                yield backend


def _installed() -> Iterator[Backend]:
    for entry in entry_points(group=ENTRY_POINTS):
        backend = entry.load()
        if isinstance(backend, Backend):
            yield backend


def builtin_models() -> Mapping[str, ModelSpec]:
    """Models that exist without ``CREATE MODEL``, by name."""
    return MappingProxyType({spec.name: spec for backend in backends().values() for spec in backend.builtin})


def validate(spec: ModelSpec) -> ModelSpec:
    """The spec under the provider's own name, with the options' own names and cleaned values.

    Raises
    ------
    BindError : the provider or an option is unknown (with the nearest names), a value does not fit, or it looks like a
        key; the message never repeats such a value.
    """
    backend = _backend(spec)
    meant = {**_SYNONYMS, **backend.synonyms}
    cleaned = {meant.get(name, name): _option(spec, backend, name, value) for name, value in spec.options.items()}
    if cleaned.get("active_parameters", 0) > cleaned.get("parameters", math.inf):
        raise BindError(
            f"Option active_parameters of model {spec.name}: no more than its parameters can be active.",
            name="active_parameters",
        )
    return replace(spec, provider=backend.provider, options=cleaned)


def synonyms(provider: str, names: Iterable[str]) -> frozenset[str]:
    """The options' own names.

    >>> sorted(synonyms("llamacpp", ["model", "context", "slots"]))
    ['context_tokens', 'path', 'slots']
    """
    known = {**_SYNONYMS, **_backend(ModelSpec("", provider)).synonyms}
    return frozenset(known.get(name, name) for name in names)


def open_model(
    spec: ModelSpec,
    *,
    gates: Gates,
    concurrency: int | None,
    timeout_s: float,
    max_retries: int,
    hedge_ratio: float = 0.0,
    secrets: ReadSecret = no_secrets,
) -> Model:
    """A model ready for calls: ``Retried(Limited(backend))``, so that no slot is held while waiting to retry.

    Parameters
    ----------
    gates : where its calls wait for their turn.
    concurrency : most calls in flight (``SET llm_concurrency``); ``None``: as many as the model says are worth it. A
        model's own ``concurrency`` option is never exceeded, at any of its addresses.
    timeout_s : seconds for one attempt, unless the model has its own ``timeout_s``.
    max_retries : attempts after the first.
    hedge_ratio : second attempts at slow calls, per call (``SET llm_hedge_ratio``); 0: none.
    secrets : reads the secret that ``api_key_secret`` names, when the first call is made.

    Raises
    ------
    BindError : see :func:`validate`. NotSupportedError : the backend's packages are not installed.
    """
    checked = validate(spec)
    cap = _cap(checked, concurrency)
    backend = _backend(checked)
    models = [_create(backend, _with_defaults(one, cap, timeout_s, secrets)) for one in _each_address(checked)]
    where = addresses(checked) or (f"{checked.provider}:{checked.name}",)
    limits = Limits(
        where[0],
        str(checked.options.get("model", checked.name)),
        cap or models[0].capabilities.concurrency,
        _number(checked, "rpm"),
        _number(checked, "tpm"),
        checked.name,
        where[1:],
        concurrency,
    )
    hedge = Hedge(hedge_ratio) if hedge_ratio else None
    return Retried(Limited(models[0], gates(limits), *models[1:], hedge=hedge), max_retries=max_retries)


def _each_address(spec: ModelSpec) -> list[ModelSpec]:
    where: Any = spec.options.get("base_url")
    if not isinstance(where, list):
        return [spec]
    return [replace(spec, options={**spec.options, "base_url": one}) for one in where]


def _backend(spec: ModelSpec) -> Backend:
    names = {name: backend for backend in backends().values() for name in (*backend.also, backend.provider)}
    if (backend := names.get(spec.provider)) is None:
        near = get_close_matches(spec.provider, names, n=2)
        known = "" if near else f" Known providers: {', '.join(sorted(backends()))}."
        message = f"There is no model provider {_shown(spec.provider)}.{known}"
        raise BindError(message, name=_shown(spec.provider), candidates=near)
    return backend


def _option(spec: ModelSpec, backend: Backend, name: str, value: Any) -> Any:
    if name.lower() in _SECRET_NAMES or (looks_like_key(value) and name != "model"):
        raise BindError(
            f"Option {_shown(name)} of model {spec.name} looks like a secret, which must not stand in SQL. Put the key "
            f"into an environment variable and name that: api_key_env := 'OPENAI_API_KEY'.",
            name=_shown(name),
        )
    known_options = _options(backend)
    if (option := known_options.get(name)) is None:
        near = get_close_matches(name, known_options, n=2)
        known = "" if near else f" It takes: {', '.join(sorted(known_options))}."
        raise BindError(f"Provider {spec.provider} has no option {_shown(name)}.{known}", name=name, candidates=near)
    try:
        return one_or_several(option.check, value) if name == "base_url" else option.check(value)
    except (ValueError, TypeError) as error:
        raise BindError(f"Option {name} of model {spec.name}: {error}.", name=name) from None


def _options(backend: Backend) -> dict[str, OptionSpec]:
    """What the backend takes, by every name."""
    own = {**COMMON_OPTIONS, **backend.options}
    others = {**_SYNONYMS, **backend.synonyms}
    return own | {name: own[meant] for name, meant in others.items() if meant in own and name not in own}


def _shown(word: str) -> str:
    return "(hidden)" if looks_like_key(word) else word


def _cap(spec: ModelSpec, concurrency: int | None) -> int | None:
    own = _number(spec, "concurrency")
    given = [int(cap) for cap in (own, concurrency) if cap is not None]
    return min(given) if given else None


def _number(spec: ModelSpec, name: str) -> float | None:
    value = spec.options.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def _with_defaults(spec: ModelSpec, cap: int | None, timeout_s: float, secrets: ReadSecret) -> ModelSpec:
    options: dict[str, Any] = {"timeout_s": timeout_s, **spec.options}
    if cap is not None:
        options["concurrency"] = cap
    if (secret := options.get("api_key_secret")) is not None:
        options["api_key_secret"] = SecretKey(secret, secrets)
    known = _backend(spec).options
    return replace(spec, options={name: value for name, value in options.items() if name in known})


def _create(backend: Backend, spec: ModelSpec) -> Model:
    try:
        return backend.create(spec)
    except ImportError as error:
        extra = f"pip install anserdb[{backend.requires}]" if backend.requires else f"pip install {error.name}"
        message = f"Model {spec.name} needs the package {error.name}, which is not installed. Install it with: {extra}"
        raise NotSupportedError(message) from error


def address(spec: ModelSpec) -> str | None:
    """Where a model's calls go, the first of several addresses; ``None``: into this process, or to a server of our own.

    >>> address(ModelSpec("m", "vllm", {"base_url": "http://127.0.0.1:8000/v1"}))
    'http://127.0.0.1:8000/v1'
    """
    return next(iter(addresses(spec)), None)


def addresses(spec: ModelSpec) -> tuple[str, ...]:
    """Where a model's calls go, without credentials. Models that name the same address share what it takes."""
    where: Any = spec.options.get("base_url") or (default_base_url() if spec.provider == "openai" else [])
    return tuple(map(public_address, where if isinstance(where, list) else [where]))
