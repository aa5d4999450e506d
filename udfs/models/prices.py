"""What calls cost: the prices of ``CREATE MODEL``, nothing for models on this machine, a dated table, or "unknown"."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple

from .base import ModelSpec, Usage
from .http_transport import on_this_machine
from .registry import address, addresses, backends

UNKNOWN, DECLARED, LOCAL = "unknown", "CREATE MODEL", "local"


class Cost(NamedTuple):
    """Money. A tuple, for every call has one.

    Parameters
    ----------
    usd : US dollars; ``None`` when nobody told the price or the tokens.
    source : where the price comes from: ``CREATE MODEL``, ``local``, the table's name and version, or ``unknown``.
    """

    usd: float | None
    source: str


class Terms(NamedTuple):
    """What a model's tokens cost while nothing changes.

    Parameters
    ----------
    price_in, price_cached_in, price_out : US dollars per million tokens, as declared; ``None``: they were not.
        Input tokens that the server had in its cache cost ``price_in``, too, unless there is a price for them.
    source : as in :class:`Cost`, where a call's cost is known.
    """

    price_in: float | None
    price_cached_in: float | None
    price_out: float | None
    source: str

    def usd(self, read: int | None, written: int | None, cached: int | None) -> float | None:
        """What so many tokens cost by the declared prices; ``None``: a price is missing, or nobody counted.

        >>> Terms(4.0, 1.0, 8.0, DECLARED).usd(1_000_000, 250_000, 500_000)
        4.5
        """
        total, price = 0.0, self.price_in
        if read != 0:
            if read is None or price is None:
                return None
            total = read * price
            if cached and self.price_cached_in is not None:
                total -= min(read, cached) * (price - self.price_cached_in)
        if written:
            if self.price_out is None:
                return None
            total += written * self.price_out
        return total / 1_000_000


def terms(spec: ModelSpec) -> Terms:
    """What holds for a model.

    >>> terms(ModelSpec("m", "openai", {"price_in": 1.0, "price_out": 4.0}))
    Terms(price_in=1.0, price_cached_in=None, price_out=4.0, source='CREATE MODEL')
    """
    if "price_in" in spec.options or "price_out" in spec.options:
        return Terms(_number(spec, "price_in"), _number(spec, "price_cached_in"), _number(spec, "price_out"), DECLARED)
    if on_own_machine(spec):
        return Terms(None, None, None, LOCAL)
    return Terms(None, None, None, _table_name() if spec.provider == "openai" else UNKNOWN)


def _number(spec: ModelSpec, name: str) -> float | None:
    given = spec.options.get(name)
    return None if given is None else float(given)


def cost_usd(spec: ModelSpec, usage: Usage) -> Cost:
    """The price of a call (or of many, their usage added up).

    >>> cost_usd(ModelSpec("m", "openai", {"price_in": 1.0, "price_out": 4.0}), Usage(500_000, 250_000))
    Cost(usd=1.5, source='CREATE MODEL')
    """
    now = terms(spec)
    if now.source == LOCAL:
        return Cost(0.0, LOCAL)
    if now.source == DECLARED:
        usd = now.usd(usage.tokens_in, usage.tokens_out, usage.tokens_cached)
        return Cost(usd, UNKNOWN if usd is None else DECLARED)
    if now.source == UNKNOWN or usage.tokens_in is None:
        return Cost(None, UNKNOWN)
    return _table(str(spec.options.get("model", spec.name)), str(address(spec)), usage)


def estimate_usd(spec: ModelSpec, tokens_in: int, tokens_out: int) -> Cost:
    """The price of tokens not yet spent, none of them from a cache."""
    return cost_usd(spec, Usage(tokens_in, tokens_out))


def on_own_machine(spec: ModelSpec) -> bool:
    """Whether a model runs here, for nothing but electricity.

    >>> on_own_machine(ModelSpec("m", "vllm", {"base_url": "http://127.0.0.1:8000/v1"}))
    True
    """
    backend = backends().get(spec.provider)
    if backend is not None and backend.local:
        return True
    # An OpenAI-compatible address on this machine may be a proxy to a paid service; a vLLM server is not.
    return spec.provider == "vllm" and all(map(on_this_machine, addresses(spec)))


@lru_cache(maxsize=16_384)
def _table(model: str, address: str, usage: Usage) -> Cost:
    """The genai-prices table, part of the installed package: nothing is fetched, no other host's price is guessed."""
    import genai_prices

    tokens = genai_prices.Usage(
        input_tokens=usage.tokens_in, output_tokens=usage.tokens_out or 0, cache_read_tokens=usage.tokens_cached or None
    )
    try:
        price = genai_prices.calc_price(tokens, model, provider_api_url=address)
    except (LookupError, ValueError):
        return Cost(None, UNKNOWN)
    return Cost(float(price.total_price), _table_name())


@lru_cache(maxsize=1)
def _table_name() -> str:
    return f"genai-prices {version('genai-prices')}"
