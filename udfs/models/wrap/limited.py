"""No more calls in flight than an endpoint takes: an adaptive cap, requests and tokens per minute, and its Retry-After.

The cap follows TCP's additive increase, multiplicative decrease (Chiu and Jain, 1989): a refused window of calls halves
it, a successful window adds one, never above the configured cap.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from ....engine.errors import RateLimited
from ..base import Capabilities, Embed, Generate, Model, Reply, Request
from .attempt_timeout import attempt
from .buckets import Bucket
from .slots import Slots

Now = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Pause:
    """Until when (on the clock that is injected) an endpoint wants silence. Shared by all models of an endpoint."""

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = 0.0

    def extend(self, until: float) -> None:
        """Pause until then, unless a longer pause holds already."""
        self.until = max(self.until, until)


class Limited:
    """A model that is called within limits.

    Parameters
    ----------
    model : what to call.
    cap : most calls in flight.
    rpm, tpm : requests and tokens per minute; ``None``: no such limit.
    pause : shared with other models of the same endpoint.
    now, sleep : the clock, in seconds; tests inject a simulated one.
    """

    def __init__(
        self,
        model: Model,
        *,
        cap: int,
        rpm: float | None = None,
        tpm: float | None = None,
        pause: Pause | None = None,
        now: Now = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._model = model
        self._slots = Slots(cap)
        self._requests = Bucket(rpm, now) if rpm else None
        self._tokens = Bucket(tpm, now) if tpm else None
        self._pause = pause or Pause()
        self._now, self._sleep = now, sleep

    @property
    def identity(self) -> str:
        """The wrapped model's."""
        return self._model.identity

    @property
    def capabilities(self) -> Capabilities:
        """The wrapped model's."""
        return self._model.capabilities

    @property
    def in_flight(self) -> int:
        """Calls that hold a slot now."""
        return self._slots.in_flight

    @property
    def limit(self) -> int:
        """The cap as adapted so far."""
        return self._slots.limit

    async def call(self, request: Request) -> Reply:
        """Wait for a slot (first come, first served) and for the rates, then call."""
        epoch = await self._slots.acquire()
        try:
            return await self._call(request, epoch)
        finally:
            self._slots.release()

    async def _call(self, request: Request, epoch: int) -> Reply:
        estimate = estimate_tokens(request) if self._tokens else 0
        await self._wait(estimate)
        try:
            reply = await attempt(self._model, request)
        except RateLimited as error:
            self._slots.refused(epoch)
            if error.retry_after_s:
                self._pause.extend(self._now() + error.retry_after_s)
            raise
        self._slots.succeeded()
        if self._tokens and reply.usage.tokens_in is not None:
            self._tokens.settle(estimate, reply.usage.tokens_in + (reply.usage.tokens_out or 0))
        return reply

    async def _wait(self, tokens: int) -> None:
        for bucket, amount in ((self._requests, 1), (self._tokens, tokens)):
            if bucket and (delay := bucket.take(amount)) > 0:
                try:
                    await self._sleep(delay)
                except BaseException:
                    bucket.settle(amount, 0)
                    raise
        while (delay := self._pause.until - self._now()) > 0:
            await self._sleep(delay)

    async def close(self) -> None:
        """Close the wrapped model."""
        await self._model.close()


def estimate_tokens(request: Request) -> int:
    """Tokens a request may use, before the server has counted: four characters a token, and its output cap.

    >>> estimate_tokens(Embed("a" * 40))
    10
    """
    match request:
        case Generate():
            return (len(request.system) + len(request.user)) // 4 + request.max_tokens
        case Embed():
            return max(1, len(request.text) // 4)
