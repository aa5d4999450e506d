"""Ends what was dropped half-read. A finaliser runs at any time in any thread, so it must not wait; this thread may."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

_dropped: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
_lock = threading.Lock()
_thread: threading.Thread | None = None


def attend() -> None:
    """Be ready for :func:`bury`; a finaliser itself cannot start a thread when the interpreter ends."""
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():  # a fork has only the memory of it
            _thread = threading.Thread(target=_work, name="anserdb-undertaker", daemon=True)
            _thread.start()


def bury(close: Callable[[], None]) -> None:
    """Have ``close`` called soon. Safe in finalisers: nothing here takes a lock that Python code may hold."""
    _dropped.put(close)


def _work() -> None:
    while True:
        close = _dropped.get()
        with contextlib.suppress(Exception):  # nobody is left who could be told
            close()
        del close
