"""Waits for blocking work so that Ctrl-C is heard at once and progress is told meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from typing import TypeVar

T = TypeVar("T")
TICK_S = 0.1


def wait_for(work: Callable[[], T], tick: Callable[[], None], interrupt: Callable[[], None]) -> T:
    """Run ``work`` in a thread; call ``tick`` about ten times a second until it is done.

    On KeyboardInterrupt ``interrupt`` is called, the work is waited for (it ends soon), and the interrupt goes on.
    """
    future: Future[T] = Future()
    threading.Thread(target=_run, args=(work, future), name="anserdb-query", daemon=True).start()
    try:
        while True:
            try:
                return future.result(TICK_S)
            except TimeoutError:
                if future.done():
                    raise  # the work's own TimeoutError
                tick()
    except KeyboardInterrupt:
        interrupt()
        future.exception()
        raise


def _run(work: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
