"""Who pays for a call hears when a request leaves for the model: waiting for a slot, a missing key or a missing file cost nothing.

The books come on the task's context, through whatever wrappers stand between, as ``wrap/attempt_timeout`` does it the other way.

A wrapper that sends one question several times at once (hedging, a race of endpoints) says which of them was for nothing::

    async def racer() -> Reply:
        with attempt() as mine:  # first thing in the task of its own that each racer is
            started.append(mine)
            return await model.call(request)

    ...
    loser.discard("another attempt answered first")  # before the winner's reply is returned; also for one still under way

What was discarded gets a record of its own, marked so, and is no retry: a server's count of requests stays the sum of
``1 + retries`` over all records. Tokens that a discarded attempt is told of until the record is written are in it.

A request that was answered holds its slot until the answer is kept (:func:`over`): what a sudden death can make us pay for
twice is then never more than what may be in flight.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import Self

from .base import Usage

_UNKNOWN = Usage()


class Sendings:
    """The requests of one call, or of one of several attempts at it.

    Attributes
    ----------
    count : how many have left and were not discarded. last : when the last one did (``time.perf_counter``); meaningless
        while ``count`` is 0.
    usage : tokens of an answer that came, which is paid for even if it turns out to be none.
    endpoint : where the last one went, if whoever sent it said so.
    discarded : of a call, the attempts at it that were for nothing. why : of such an attempt.
    held : of a call whose answer is going to be kept, how to give back what its requests go on holding until then;
        ``None``: nobody keeps it, so they hold nothing. Who sets this calls :meth:`release`, however the call ends.
    """

    # Defaults of the class, and no slots: every call makes one of these, and sets three or four.
    count: int = 0
    last: float = 0.0
    usage: Usage = _UNKNOWN
    endpoint: str = ""
    discarded: Sequence[Sendings] = ()
    why: str = ""
    held: tuple[Callable[[], object], ...] | None = None
    _parent: Sendings | None = None
    _before: tuple[float, str] = (0.0, "")
    _token: Token[Sendings | None]

    def __init__(self, parent: Sendings | None = None) -> None:
        if parent is not None:
            self._parent = parent

    def __enter__(self) -> Self:
        """Make them the task's own. By hand: a generator for each call costs a microsecond."""
        self._token = _SENDINGS.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _SENDINGS.reset(self._token)

    def sent(self, endpoint: str, moment: float) -> None:
        """One more has left."""
        if not self.count:
            self.began()
        if self._parent is not None and not self.why:
            if not self.count:
                self._before = self._parent.last, self._parent.endpoint
            self._parent.sent(endpoint, moment)
        self.count += 1
        self.last, self.endpoint = moment, endpoint or self.endpoint

    def admitted(self) -> None:
        """It is its turn: nothing stands between it and the model any more. What this raises keeps it from being sent."""

    def began(self) -> None:
        """The first one leaves, or the first after those that have not left after all."""

    def not_sent(self) -> None:
        """The last one has not left after all."""
        self.count -= 1
        if self._parent is not None and not self.why:
            self._parent.not_sent()

    def answered(self, usage: Usage) -> None:
        """An answer came."""
        self.usage = usage
        if self._parent is not None and not self.why:
            self._parent.answered(usage)

    def discard(self, why: str) -> None:
        """What this attempt has sent, and what it yet sends, is for nothing; ``why`` is for the record. Idempotent."""
        if self._parent is None or self.why:
            return
        self.why = why
        self._parent.forget(self)
        call = self.call
        call.discarded = (*call.discarded, self)

    @property
    def call(self) -> Sendings:
        """That of the whole call."""
        call = self
        while call._parent is not None:
            call = call._parent
        return call

    def release(self) -> None:
        """The answer is kept, or there is none to keep."""
        held, self.held = self.held, None
        for give_back in held or ():
            give_back()

    def forget(self, attempt: Sendings) -> None:
        """An attempt's requests are no longer this one's."""
        self.count -= attempt.count
        if self.last == attempt.last:
            self.last, self.endpoint = attempt._before
        if attempt.usage is self.usage:
            self.usage = _UNKNOWN
        if self._parent is not None and not self.why:
            self._parent.forget(attempt)


_SENDINGS: ContextVar[Sendings | None] = ContextVar("anser_sendings", default=None)


def counted() -> AbstractContextManager[Sendings]:
    """Count the requests that this task, and those it starts, send inside the ``with``.

    >>> with counted() as sendings:
    ...     sent()
    ...     sendings.count
    1
    """
    return Sendings()


def attempt() -> AbstractContextManager[Sendings]:
    """Count those of one attempt of several at the same call, each in a task of its own; they count for the call, too.

    >>> with counted() as call:
    ...     with attempt() as slow:
    ...         sent()
    ...     with attempt() as fast:
    ...         sent()
    ...     slow.discard("the other was faster")
    ...     call.count, [lost.count for lost in call.discarded]
    (1, [1])
    """
    return Sendings(_SENDINGS.get())


def sent(endpoint: str = "") -> None:
    """A request leaves now; for backends that declare ``Backend.tells``.

    Parameters
    ----------
    endpoint : where it goes, for the record; empty: the model's own address.
    """
    if (sendings := _SENDINGS.get()) is not None:
        sendings.sent(endpoint, time.perf_counter())


def answered(usage: Usage) -> None:
    """An answer came, whatever it is worth."""
    if (sendings := _SENDINGS.get()) is not None:
        sendings.answered(usage)


def answered_with() -> Usage:
    """What the answer took that came last, as far as :func:`answered` was told: an error does not carry it."""
    sendings = _SENDINGS.get()
    return _UNKNOWN if sendings is None else sendings.usage


def not_sent() -> None:
    """The last one did not leave after all: nobody took the connection."""
    if (sendings := _SENDINGS.get()) is not None:
        sendings.not_sent()


def admitted() -> None:
    """The call has its slot."""
    if (sendings := _SENDINGS.get()) is not None:
        sendings.call.admitted()


def over(give_back: Callable[[], object]) -> None:
    """A request was answered and is over: give back what it holds, once the answer is kept.

    A wrapper that asks again on account of an answer must not let its requests pass here: the second would wait for what the
    first one holds.
    """
    sendings = _SENDINGS.get()
    call = None if sendings is None else sendings.call
    if call is None or call.held is None:
        give_back()
    else:
        call.held = (*call.held, give_back)
