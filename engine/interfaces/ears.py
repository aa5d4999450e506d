"""Hears Ctrl-C while the main thread is inside DuckDB, where Python's own handler has to wait for the statement's end."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from functools import cache

AGAIN_S = 0.1


class _Statement:
    """What the main thread is in."""

    __slots__ = ("interrupt", "over")

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self.interrupt, self.over = interrupt, threading.Event()


class Ears:
    """A thread that reads signal numbers as they arrive, and stops the statement that the main thread is in.

    Python writes them to a socket at once (``signal.set_wakeup_fd``); KeyboardInterrupt itself is raised by Python's
    handler as soon as the statement has ended.
    """

    def __init__(self) -> None:
        self._reads, self._writes = socket.socketpair()
        self._writes.setblocking(False)
        self._statement: _Statement | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._hear, name="anserdb-ears", daemon=True).start()

    @staticmethod
    def of_process() -> Ears:
        """The only ones; a fork, which has none of its parent's threads, gets its own."""
        return _of_process(os.getpid())

    def listen(self, interrupt: Callable[[], None]) -> bool:
        """From now on a SIGINT calls ``interrupt``, until :meth:`rest`. False: it cannot be, as another listens."""
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return False
        mine = self._writes.fileno()
        before = signal.set_wakeup_fd(mine, warn_on_full_buffer=False)
        if before not in (-1, mine):
            signal.set_wakeup_fd(before)
            return False
        self._statement = _Statement(interrupt)
        return True

    def rest(self) -> None:
        """The statement is over; nothing interrupts the next one on its behalf."""
        with self._lock:
            statement, self._statement = self._statement, None
        if statement is not None:
            statement.over.set()
        signal.set_wakeup_fd(-1)

    def _hear(self) -> None:
        while heard := self._reads.recv(1):
            if heard[0] == signal.SIGINT:
                self._stop()

    def _stop(self) -> None:
        """Stop the statement of now. (Not in :meth:`_hear`, whose frame would hold it for ever.)"""
        statement = self._statement
        # Again and again: an interrupt that comes between two steps of a statement stops neither.
        while statement is not None and not statement.over.is_set():
            with self._lock:
                if self._statement is statement:
                    statement.interrupt()
            statement.over.wait(AGAIN_S)


@cache
def _of_process(pid: int) -> Ears:
    del pid
    return Ears()
