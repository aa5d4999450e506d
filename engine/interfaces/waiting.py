"""Waits for blocking work so that Ctrl-C is heard at once, other threads can stop it, and progress is told meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from _thread import start_new_thread
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from ..errors import Interrupted
from ..physical.stopping import STOPPED, Work, check, doing, heard
from .ears import Ears

T = TypeVar("T")
TICK_S = 0.1
AGAIN_S, INSIST_S = 0.02, 10.0
"""How often what does not end is stopped again, and for how long beside its own thread."""


class Waiting:
    """What a connection is busy with."""

    def __init__(self) -> None:
        self._works: dict[Work, None] = {}
        self._open: dict[object, weakref.WeakMethod[Callable[[], None]]] = {}

    def wait(self, work: Callable[[], T], interrupt: Callable[[], None], tick: Callable[[], None] = lambda: None) -> T:
        """Run ``work`` in a thread; call ``tick`` about ten times a second until it is done.

        On KeyboardInterrupt ``interrupt`` is called until the work has ended (it ends soon), and the interrupt goes on.
        """
        future: Future[T] = Future()
        with self._busy(interrupt) as busy:
            check()  # it was stopped before it began
            try:
                threading.Thread(target=_run, args=(work, future, busy), name="anserdb-query", daemon=True).start()
                return _result(future, busy, tick)
            except KeyboardInterrupt:
                _stop(future, busy)
                raise

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
        with self._busy(interrupt), heard():
            check()
            return work()

    def steps(self, work: Callable[[], T], interrupt: Callable[[], None], done: Callable[[T], bool]) -> T:
        """Run ``work`` of many short steps in this thread, such as planning a statement.

        Parameters
        ----------
        done : whether its result stands although somebody stopped it meanwhile, as it is of something that has happened.

        Raises
        ------
        Interrupted : somebody stopped it before its end, whatever became of it for that.
        """
        with self._busy(interrupt) as busy:
            result = _undisturbed(work, busy)
        if busy.stopped and not done(result):
            raise Interrupted(STOPPED)
        return result

    def watch(self, stop: Callable[[], None]) -> Callable[[], None]:
        """Have the method ``stop`` called by :meth:`interrupt` also while nobody waits. Returns its removal."""
        token = object()
        self._open[token] = weakref.WeakMethod(stop)
        return lambda: _forget(self._open, token)

    def interrupt(self) -> None:
        """Stop whatever is under way, from any thread and from signal handlers; what begins after it is not stopped."""
        stopped: list[Work] = []
        # Until there are no more: one may begin within another that has yet to hear of it.
        while fresh := [work for work in list(self._works) if not work.stopped]:
            for work in fresh:
                work.stop()
            stopped += fresh
        for stop in [method() for method in list(self._open.values())]:
            if stop is not None:
                stop()
        if stopped:
            with contextlib.suppress(RuntimeError):  # no threads any more: the interpreter is ending
                start_new_thread(_insist, (stopped,))

    @contextlib.contextmanager
    def _busy(self, interrupt: Callable[[], None]) -> Iterator[Work]:
        work = Work(interrupt)
        self._works[work] = None
        try:
            with doing(work):
                yield work
        finally:
            work.end()
            del self._works[work]


def _undisturbed(work: Callable[[], T], busy: Work) -> T:
    try:
        with heard():
            return work()
    except Interrupted:
        raise
    except Exception as error:
        if busy.stopped:  # a step was interrupted, and the next mistook that for something else
            raise Interrupted(STOPPED) from error
        raise


def _forget(watched: dict[object, weakref.WeakMethod[Callable[[], None]]], token: object) -> None:
    watched.pop(token, None)


def _insist(works: Sequence[Work]) -> None:
    """Interrupt again what has not ended: the first time may have come between two statements of DuckDB's."""
    until = time.monotonic() + INSIST_S
    while works and time.monotonic() < until:
        time.sleep(AGAIN_S)
        works = [work for work in works if not work.over]
        for work in works:
            work.stop()


def _result(future: Future[T], busy: Work, tick: Callable[[], None]) -> T:
    while True:
        try:
            return future.result(TICK_S)
        except TimeoutError:
            if future.done():
                return future.result()  # it has just ended; or the error is the work's own
            if busy.stopped:
                busy.stop()
            tick()


def _stop(future: Future[T], busy: Work) -> None:
    # Again and again: an interrupt that comes between two statements of the work stops neither.
    while not future.cancel() and not future.done():
        busy.stop()
        wait([future], AGAIN_S)


def _run(work: Callable[[], T], future: Future[T], busy: Work) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        with doing(busy):
            future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
