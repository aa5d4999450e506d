"""Ask again when asking again may help."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

import stamina

from ....engine.errors import ModelError, RateLimited
from ..base import Model, Reply, Request
from ..tries import set_tries
from ..unavailable import retry_after_of
from .gate import LONGEST_PAUSE_S
from .wrapper import Wrapper

# Stamina logs every retry; without this, Python prints those lines to the user's terminal when no logging is set up.
logging.getLogger("stamina").addHandler(logging.NullHandler())

FIRST_WINDOW_S, LONGEST_WINDOW_S = 1.0, 16.0
APART_S = 0.25
"""Callers that were refused together do not return in the same moment."""


class Retried(Wrapper):
    """A model whose passing failures are retried: with full jitter, or after the server's own Retry-After.

    Tests switch the waiting off with ``stamina.set_testing(True, attempts=n, cap=True)``.

    Parameters
    ----------
    model : what to call. It must hold no slot while this waits: ``Retried(Limited(…))``.
    max_retries : attempts after the first.
    """

    def __init__(self, model: Model, *, max_retries: int) -> None:
        super().__init__(model)
        self._max_retries = max_retries

    async def call(self, request: Request) -> Reply:
        """Call, and call again after retryable errors; the last error is raised as it came."""
        try:
            return await self._model.call(request)
        except ModelError as error:
            # The common road costs nothing; stamina's machinery (35 µs) starts at the first failure.
            if not self._max_retries or not _passes(error):
                raise
            first = error
        return await self._retry(request, first)

    async def _retry(self, request: Request, first: ModelError) -> Reply:
        attempts = stamina.retry_context(on=_Backoff(), attempts=self._max_retries + 1, timeout=None)
        async for attempt in attempts:
            with attempt:
                if attempt.num == 1:
                    raise first
                reply = await self._again(request, attempt.num)
                return replace(reply, retries=reply.retries + attempt.num - 1)
        raise first

    async def _again(self, request: Request, number: int) -> Reply:
        try:
            return await self._model.call(request)
        except ModelError as error:
            set_tries(error, number)
            raise


class _Backoff:
    """Stamina's hook, of one call: the seconds until the next attempt, or ``False``.

    Full jitter (Brooker, "Exponential Backoff and Jitter", 2015): the attempt comes at any moment of a window, and the next
    window is twice as long. Ours follow one another, where his all begin at the failure: so nobody can happen to spend all
    attempts on a silence that ends before the last window begins (15 s with five retries).
    """

    def __init__(self) -> None:
        self._window, self._left = FIRST_WINDOW_S, 0.0

    def __call__(self, error: Exception) -> bool | float:
        if not _passes(error):
            return False
        asked = retry_after_of(error)
        wanted = 0.0 if asked is None else asked + random.uniform(0, APART_S)
        if asked is not None and isinstance(error, RateLimited):
            return wanted
        moment = random.uniform(0, self._window)
        seconds, self._left = self._left + moment, self._window - moment
        self._window = min(LONGEST_WINDOW_S, 2 * self._window)
        # Who cannot answer knows less well when it can: no earlier than it says, and ever later.
        return max(seconds, wanted)


def _passes(error: Exception) -> bool:
    """Whether the same call may succeed soon."""
    return isinstance(error, ModelError) and error.retryable and (retry_after_of(error) or 0.0) <= LONGEST_PAUSE_S
