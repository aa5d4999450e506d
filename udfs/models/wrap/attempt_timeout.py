"""A call site's own limit on how long one attempt may take, without waiting for a slot or for the next attempt.

It comes on the task's context: the wrapper that holds the slot knows when an attempt starts, the call site knows the limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ....engine.errors import ModelTimeout
from ..base import Model, Reply, Request

_SECONDS: ContextVar[float | None] = ContextVar("anser_attempt_seconds", default=None)


@contextmanager
def attempts_within(seconds: float | None) -> Iterator[None]:
    """Attempts that this task makes inside the ``with`` take at most ``seconds`` each; ``None``: as long as they take."""
    token = _SECONDS.set(seconds)
    try:
        yield
    finally:
        _SECONDS.reset(token)


async def attempt(model: Model, request: Request) -> Reply:
    """One call, within the limit.

    Raises
    ------
    ModelTimeout : it took longer.
    """
    seconds = _SECONDS.get()
    if seconds is None:
        return await model.call(request)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await model.call(request)
    except TimeoutError:
        if not limit.expired():  # the model's own
            raise
        raise ModelTimeout(f"No answer within {seconds:g} s. Raise timeout := …, or leave it out.") from None
