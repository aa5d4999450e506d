"""Who waits for an answer may hear it while it is written: the words come on the task's context, through whatever wrappers.

As with :mod:`.sending`, a question that is put into a task of its own (``engine/dataflow/flights``) takes its asker's listener
along. Whoever joins such a question later hears nothing, and gets the answer like anybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol


class Listener(Protocol):
    """Hears an answer before it is judged. Called on the event loop, and must not raise: what it hears is not the answer."""

    def begin(self) -> None:
        """An attempt's answer begins: what was heard before is of an attempt that failed, or of an answer that was refused."""
        ...

    def text(self, delta: str) -> None:
        """The next words of it, as the model wrote them: before anything is cut off or unwrapped."""
        ...


class _Hearing:
    """One ``with hearing``: which attempt has the floor, and whether anybody listens still."""

    __slots__ = ("floor", "listener")

    def __init__(self, listener: Listener) -> None:
        self.listener: Listener | None = listener
        self.floor: _Voice | None = None


class _Voice:
    """What one attempt says. It is silent where another one speaks at the same time (a hedged call, each attempt in a task
    of its own), and once nobody listens."""

    __slots__ = ("_hearing", "_task")

    def __init__(self, hearing: _Hearing, task: asyncio.Task[Any] | None) -> None:
        self._hearing, self._task = hearing, task

    def begin(self) -> None:
        here = self._hearing
        if here.floor is not None and here.floor._speaks_beside(self):
            return
        here.floor = self
        if here.listener is not None:
            here.listener.begin()

    def text(self, delta: str) -> None:
        if self._hearing.floor is self and (heard := self._hearing.listener) is not None:
            heard.text(delta)

    def _speaks_beside(self, other: _Voice) -> bool:
        return self._task is not other._task and self._task is not None and not self._task.done()


_HEARING: ContextVar[_Hearing | None] = ContextVar("anser_hearing", default=None)


@contextmanager
def hearing(listener: Listener) -> Iterator[None]:
    """What this task asks inside the ``with`` is heard by ``listener``, until its end: a question that outlives its asker,
    because others wait for it too, goes on unheard. One question at a time; several at once need a task and a ``with`` each.
    """
    here = _Hearing(listener)
    token = _HEARING.set(here)
    try:
        yield
    finally:
        here.listener = None
        _HEARING.reset(token)


def listener() -> Listener | None:
    """For backends, on the loop: to whom this attempt, and no other, may say its answer; ``None``: nobody wants to hear it.

    >>> listener() is None
    True
    """
    here = _HEARING.get()
    if here is None or here.listener is None:
        return None
    return _Voice(here, asyncio.current_task())
