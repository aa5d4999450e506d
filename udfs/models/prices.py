"""What calls cost: the prices of ``CREATE MODEL``, nothing for models on this machine, a dated table, or "unknown"."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple

from .base import ModelSpec, Usage
from .http_transport import on_this_machine
from .registry import address, addresses, backends

UNKNOWN = "unknown"


class Cost(NamedTuple):
    """Money. A tuple, for every call has one.

    Parameters
    ----------
    usd : US dollars; ``None`` when nobody told the price or the tokens.
    source : where the price comes from: ``CREATE MODEL``, ``local``, the table's name and version, or ``unknown``.
    """

    usd: float | None
    source: str


def cost_usd(spec: ModelSpec, usage: Usage) -> Cost:
    """The price of a call (or of many, their usage added up).

    >>> cost_usd(ModelSpec("m", "openai", {"price_in": 1.0, "price_out": 4.0}), Usage(500_000, 250_000))
    Cost(usd=1.5, source='CREATE MODEL')
    """
    if "price_in" in spec.options or "price_out" in spec.options:
        return _declared(spec, usage)
    if on_own_machine(spec):
        return Cost(0.0, "local")
    if spec.provider != "openai" or usage.tokens_in is None:
        return Cost(None, UNKNOWN)
    return _table(str(spec.options.get("model", spec.name)), str(address(spec)), usage)


def estimate_usd(spec: ModelSpec, tokens_in: int, tokens_out: int) -> Cost:
    """The price of tokens not yet spent, none of them from a cache."""
    return cost_usd(spec, Usage(tokens_in, tokens_out))


def _declared(spec: ModelSpec, usage: Usage) -> Cost:
    total = 0.0
    for tokens, price in (
        (usage.tokens_in, spec.options.get("price_in")),
        (usage.tokens_out or 0, spec.options.get("price_out")),
    ):
        if tokens == 0:
            continue
        if tokens is None or price is None:
            return Cost(None, UNKNOWN)
        total += tokens * float(price) / 1_000_000
    return Cost(total, "CREATE MODEL")


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
    return Cost(float(price.total_price), f"genai-prices {version('genai-prices')}")
