"""Who hears Ctrl-C during a plain statement, and who does not take the place of others. See tests/faults/test_interrupt.py."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

import anserdb
from anserdb.engine.interfaces.ears import Ears


@pytest.fixture
def ears() -> Iterator[Ears]:
    # A shell starts what runs in the background deaf to Ctrl-C, and Python leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield Ears.of_process()
    signal.signal(signal.SIGINT, before)


def test_a_signal_stops_the_statement_and_then_raises(ears: Ears) -> None:
    stopped = threading.Event()
    assert ears.listen(stopped.set)
    try:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            stopped.wait(10)
        assert stopped.wait(10)
    finally:
        ears.rest()
    assert signal.set_wakeup_fd(-1) == -1


def test_another_listener_keeps_its_place(ears: Ears) -> None:
    reads, writes = socket.socketpair()
    writes.setblocking(False)
    with reads, writes, anserdb.connect(store=":memory:") as con:
        signal.set_wakeup_fd(writes.fileno())
        try:
            assert not ears.listen(con.interrupt)
            result = con.sql("SELECT 1")
            assert result is not None
            assert result.fetchall() == [(1,)]
            assert signal.set_wakeup_fd(-1) == writes.fileno()
        finally:
            signal.set_wakeup_fd(-1)


def test_another_handler_keeps_its_place(ears: Ears) -> None:
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        assert not ears.listen(lambda: None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.set_wakeup_fd(-1) == -1


def test_plain_sql_in_other_threads_listens_to_no_signals() -> None:
    rows: list[object] = []
    with anserdb.connect(store=":memory:") as con:

        def work() -> None:
            result = con.sql("SELECT 1")
            assert result is not None
            rows.extend(result.fetchall())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert rows == [(1,)]
