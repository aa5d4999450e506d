"""What a simulated model is like: its prices, its speed, its limits."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Profile:
    """One model of the simulator. A token is a word, here and everywhere in the simulator.

    Parameters
    ----------
    model : the name under which it is asked.
    latency_s : seconds of every answer, whatever its size. ttft_s : seconds more, before the first token.
    prefill_tokens_per_s : tokens of the prompt read per second, but for those in the prefix cache (``None``: at once).
    tokens_per_s : tokens of the answer written per second (``None``: at once).
    jitter : all of these times, times 1 ± jitter.
    cap : most requests served at once; the rest wait (``overload='queue'``) or get 429 (``'refuse'``).
    rpm, tpm : requests and tokens (in and out) in any ``window_s`` seconds, as if per minute; beyond, 429 with Retry-After.
    price_in, price_cached, price_out : US dollars per million tokens; ``price_cached`` is ``price_in`` where it is not given.
    cache_tokens : tokens that the prefix cache holds; 0: there is none.
    dimension : length of its embeddings.
    """

    model: str = "simulated"
    latency_s: float = 0.0
    ttft_s: float = 0.0
    prefill_tokens_per_s: float | None = None
    tokens_per_s: float | None = None
    jitter: float = 0.0
    cap: int | None = None
    overload: Literal["queue", "refuse"] = "queue"
    rpm: float | None = None
    tpm: float | None = None
    window_s: float = 60.0
    price_in: float = 0.0
    price_cached: float | None = None
    price_out: float = 0.0
    cache_tokens: int = 0
    dimension: int = 16

    def usd(self, tokens_in: int, tokens_cached: int, tokens_out: int) -> Decimal:
        """The exact price of tokens, of which ``tokens_cached`` are among ``tokens_in``.

        >>> Profile(price_in=0.4, price_cached=0.1, price_out=1.6).usd(1000, 600, 50)
        Decimal('0.0003')
        """
        cached = self.price_in if self.price_cached is None else self.price_cached
        parts = ((tokens_in - tokens_cached, self.price_in), (tokens_cached, cached), (tokens_out, self.price_out))
        return (sum((tokens * Decimal(str(price)) for tokens, price in parts), Decimal(0)) / MILLION).normalize()

    def head_s(self, tokens: int) -> float:
        """Seconds before the first token, with so many tokens of the prompt to read."""
        reading = tokens / self.prefill_tokens_per_s if self.prefill_tokens_per_s else 0.0
        return self.latency_s + self.ttft_s + reading

    @property
    def token_s(self) -> float:
        """Seconds per token of the answer."""
        return 1 / self.tokens_per_s if self.tokens_per_s else 0.0
