"""Closes what was dropped half-read. A finaliser runs at any time in any thread, so it must not wait; this thread may."""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
from collections.abc import Callable

PATIENCE = 5.0
"""Seconds that the interpreter's end waits for what is being closed."""
_dropped: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
_lock = threading.Lock()
_thread: threading.Thread | None = None


def start_closer() -> None:
    """Be ready for :func:`close_later`; a finaliser itself cannot start a thread when the interpreter ends."""
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():  # a fork has only the memory of it
            _thread = threading.Thread(target=_work, name="anserdb-closer", daemon=True)
            _thread.start()


def close_later(close: Callable[[], None]) -> None:
    """Have ``close`` called soon. Safe in finalisers: nothing here takes a lock that Python code may hold."""
    _dropped.put(close)


def _work() -> None:
    while (close := _dropped.get()) is not None:
        with contextlib.suppress(Exception):  # nobody is left who could be told
            close()
        del close


@atexit.register
def _finish() -> None:
    # The interpreter ends daemon threads where they stand; inside DuckDB's C++ that aborts the process.
    if _thread is not None and _thread.is_alive():
        _dropped.put(None)
        _thread.join(PATIENCE)
