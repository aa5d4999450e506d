"""One simulated model: who may ask, when it is their turn, how long it takes, what it costs. It knows no HTTP.

Time is that of the running event loop, which may be a real one or a :class:`~.simulated_time.SimulatedLoop`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random

from .limits import RateLimits
from .prefix_cache import PrefixCache
from .profile import Profile

OVERLOAD_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Pace:
    """How one answer comes: seconds to its first token, seconds per token, and what of the prompt was in the cache."""

    head_s: float
    token_s: float
    tokens_cached: int

    def total_s(self, tokens_out: int) -> float:
        """Seconds to the end of the answer."""
        return self.head_s + self.token_s * tokens_out


class Endpoint:
    """A model that serves.

    Parameters
    ----------
    profile : what it is like. seed : of the jitter.
    """

    def __init__(self, profile: Profile, seed: int = 0) -> None:
        self.profile = profile
        self._slots = asyncio.Semaphore(profile.cap or sys.maxsize)
        self._limits = RateLimits(profile.rpm, profile.tpm, profile.window_s)
        self._cache = PrefixCache(profile.cache_tokens) if profile.cache_tokens else None
        self._random = Random(f"{seed}:{profile.model}")

    def refusal_s(self, tokens_in: int) -> float:
        """0 if a request with such a prompt may come in; else the seconds after which it may try again."""
        if self.profile.overload == "refuse" and self._slots.locked():
            return OVERLOAD_WAIT_S
        return self._limits.admit(tokens_in, self._now()) if self._limits else 0.0

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for a slot, and keep it."""
        return self._slots

    def begin(self, prompt: Sequence[str]) -> Pace:
        """Read the prompt, in a slot."""
        cached = self._cache.read(prompt) if self._cache is not None else 0
        profile = self.profile
        stretch = 1 + profile.jitter * self._random.uniform(-1, 1) if profile.jitter else 1.0
        return Pace(profile.head_s(len(prompt) - cached) * stretch, profile.token_s * stretch, cached)

    def wrote(self, tokens_out: int) -> None:
        """Tokens of an answer, which count towards the limit once they are there."""
        if self._limits:
            self._limits.wrote(tokens_out, self._now())

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def pause(seconds: float) -> None:
    """Sleep, if there is anything to sleep for."""
    if seconds > 0:
        await asyncio.sleep(seconds)
