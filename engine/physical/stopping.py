"""Work that may be stopped at any moment: a flag that stays, and looks at it between the steps of the work.

DuckDB's own interrupt ends the statement that runs and is forgotten where none does, so one that comes between two statements
of the same work stops neither.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import duckdb

from ..errors import Interrupted

STOPPED = "The query was stopped. Answers already received are kept."


class Work:
    """What a thread is in, from its start to :meth:`end`. ``interrupt`` stops what runs of it at the moment."""

    __slots__ = ("_interrupt", "_over", "_turn", "stopped")

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self._interrupt, self._turn = interrupt, threading.Lock()
        self.stopped = self._over = False

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._over

    def stop(self) -> None:
        """Stop it, from any thread and from signal handlers. Again and again, until it is over."""
        self.stopped = True
        if not self._turn.acquire(blocking=False):
            return  # somebody is about to, or it is ending
        try:
            if not self._over:
                with contextlib.suppress(duckdb.Error):  # a connection that is closed by now
                    self._interrupt()
        finally:
            self._turn.release()

    def end(self) -> bool:
        """From now on nothing is interrupted on its behalf. Whether somebody stopped it before."""
        with self._turn:
            self._over = True
        return self.stopped


class _Thread(threading.local):
    works: tuple[Work, ...] = ()


_thread = _Thread()


def check() -> None:
    """Raise :class:`Interrupted` if what this thread is in was stopped."""
    for work in _thread.works:
        if work.stopped:
            raise Interrupted(STOPPED)


@contextlib.contextmanager
def doing(work: Work) -> Iterator[None]:
    """This thread is in ``work``, and in what it was in before."""
    before = _thread.works
    _thread.works = (*before, work)
    try:
        yield
    finally:
        _thread.works = before


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Raise KeyboardInterrupt where DuckDB heard Ctrl-C, and kept only the words."""
    try:
        yield
    except RuntimeError as error:
        if type(error) is RuntimeError and str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise
