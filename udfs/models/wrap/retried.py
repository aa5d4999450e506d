"""Ask again when asking again may help."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

import stamina

from ....engine.errors import ModelError, RateLimited
from ..base import Model, Reply, Request
from ..tries import set_tries
from .wrapper import Wrapper

# Stamina logs every retry; without this, Python prints those lines to the user's terminal when no logging is set up.
logging.getLogger("stamina").addHandler(logging.NullHandler())

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
# A server that asks for more than this is not worth holding a query for.
LONGEST_RETRY_AFTER_S = 120.0


class Retried(Wrapper):
    """A model whose passing failures are retried: exponential backoff with jitter, or the server's own Retry-After.

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
            if not self._max_retries or _wait(error) is False:
                raise
            first = error
        return await self._retry(request, first)

    async def _retry(self, request: Request, first: ModelError) -> Reply:
        attempts = stamina.retry_context(
            on=_wait, attempts=self._max_retries + 1, timeout=None, wait_initial=FIRST_WAIT_S, wait_max=LONGEST_WAIT_S
        )
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


def _wait(error: Exception) -> bool | float:
    """Stamina's hook: no retry, its own backoff, or these seconds."""
    match error:
        case RateLimited(retry_after_s=seconds) if seconds is not None:
            # The jitter keeps callers that were refused together from returning together.
            return seconds + random.uniform(0, 0.25) if seconds <= LONGEST_RETRY_AFTER_S else False
        case ModelError(retryable=True):
            return True
        case _:
            return False
