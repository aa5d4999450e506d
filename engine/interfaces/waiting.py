"""Waits for blocking work so that Ctrl-C is heard at once, other threads can stop it, and progress is told meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from .ears import Ears

T = TypeVar("T")
TICK_S = 0.1


class Waiting:
    """What a connection is waiting for."""

    def __init__(self) -> None:
        self._stops: dict[object, Callable[[], None]] = {}

    def wait(self, work: Callable[[], T], interrupt: Callable[[], None], tick: Callable[[], None] = lambda: None) -> T:
        """Run ``work`` in a thread; call ``tick`` about ten times a second until it is done.

        On KeyboardInterrupt ``interrupt`` is called until the work has ended (it ends soon), and the interrupt goes on.
        """
        future: Future[T] = Future()
        token = object()
        self._stops[token] = interrupt
        try:
            threading.Thread(target=_run, args=(work, future), name="anserdb-query", daemon=True).start()
            return _result(future, tick)
        except KeyboardInterrupt:
            _stop(future, interrupt)
            raise
        finally:
            del self._stops[token]

    def here(self, work: Callable[[], T], interrupt: Callable[[], None]) -> T:
        """Run short ``work`` in this thread, where it need not wait for its turn among threads; Ctrl-C is heard all the same.

        Where signals cannot be had (somebody else's event loop listens to them), it is :meth:`wait`.
        """
        if threading.current_thread() is not threading.main_thread():
            return self._stoppable(work, interrupt)  # signals are none of its business
        ears = Ears.of_process()
        if not ears.listen(interrupt):
            return self.wait(work, interrupt)
        try:
            return self._stoppable(work, interrupt)
        finally:
            ears.rest()

    def _stoppable(self, work: Callable[[], T], interrupt: Callable[[], None]) -> T:
        token = object()
        self._stops[token] = interrupt
        try:
            return work()
        except RuntimeError as error:
            if type(error) is RuntimeError and str(error) == "Query interrupted":
                raise KeyboardInterrupt from None  # DuckDB heard it, and kept only the words
            raise
        finally:
            del self._stops[token]

    def interrupt(self) -> None:
        """Stop whatever is being waited for, from any thread."""
        for stop in list(self._stops.values()):
            stop()


def _result(future: Future[T], tick: Callable[[], None]) -> T:
    while True:
        try:
            return future.result(TICK_S)
        except TimeoutError:
            if future.done():
                return future.result()  # it has just ended; or the error is the work's own
            tick()


def _stop(future: Future[T], interrupt: Callable[[], None]) -> None:
    # Again and again: an interrupt that comes between two statements of the work stops neither.
    while not future.done():
        interrupt()
        wait([future], TICK_S)


def _run(work: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
