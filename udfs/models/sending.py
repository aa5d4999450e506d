"""Who pays for a call hears when a request leaves for the model: waiting for a slot, a missing key or a missing file cost nothing.

The books come on the task's context, through whatever wrappers stand between, as ``wrap/attempt_timeout`` does it the other way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .base import Usage


class Sendings:
    """The requests of one call.

    Attributes
    ----------
    count : how many have left. last : when the last one did (``time.perf_counter``); meaningless while ``count`` is 0.
    usage : tokens of an answer that came, which is paid for even if it turns out to be none.
    """

    __slots__ = ("count", "last", "usage")

    def __init__(self) -> None:
        self.count = 0
        self.last = 0.0
        self.usage = Usage()


_SENDINGS: ContextVar[Sendings | None] = ContextVar("anser_sendings", default=None)


@contextmanager
def counted() -> Iterator[Sendings]:
    """Count the requests that this task, and those it starts, send inside the ``with``.

    >>> with counted() as sendings:
    ...     sent()
    ...     sendings.count
    1
    """
    sendings = Sendings()
    token = _SENDINGS.set(sendings)
    try:
        yield sendings
    finally:
        _SENDINGS.reset(token)


def sent() -> None:
    """A request leaves now; for backends that declare ``Backend.tells``."""
    if (sendings := _SENDINGS.get()) is not None:
        sendings.count += 1
        sendings.last = time.perf_counter()


def answered(usage: Usage) -> None:
    """An answer came, whatever it is worth."""
    if (sendings := _SENDINGS.get()) is not None:
        sendings.usage = usage


def not_sent() -> None:
    """The last one did not leave after all: nobody took the connection."""
    if (sendings := _SENDINGS.get()) is not None:
        sendings.count -= 1
