"""Ctrl-C while a statement runs."""

from __future__ import annotations

import signal
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_S = 0.1


@contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Ctrl-C calls ``stop`` until the block ends; the event says that it was pressed. A second Ctrl-C raises
    ``KeyboardInterrupt``.

    Once is not enough: DuckDB forgets an interrupt that comes just before its query starts.
    """
    pressed, over, turn = threading.Event(), threading.Event(), threading.Lock()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def insist() -> None:
        while not over.is_set():
            with turn:
                if not over.is_set():  # the next statement must not be hit
                    stop()
            over.wait(AGAIN_S)

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        # Not in this thread: the signal may have come while it holds a lock that stop() takes.
        start_new_thread(insist, ())

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield pressed
    finally:
        with turn:
            over.set()
        signal.signal(signal.SIGINT, before)
