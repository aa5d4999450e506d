"""Two processes, one store: what one has stored the other need not ask, none waits in vain, and one's death is not the other's."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import anserdb
from tests.support.doors import QUERY, child, connect, questions, until
from tests.support.loopback import LoopbackServer

ROWS, CAP = 400, 16
ALL_AT_ONCE = """
print("ready", flush=True)
sys.stdin.readline()
print(hash(tuple(con.sql(QUERY).fetchall())), flush=True)
"""
ROW_BY_ROW = """
print("ready", flush=True)
sys.stdin.readline()
result = con.sql(QUERY.replace(" ORDER BY id", ""))
while row := result.fetchone():
    print(*row, sep="|", flush=True)
"""
LOCK_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM answers")
print("locked", flush=True)
sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
Process = subprocess.Popen[bytes]


def line(process: Process) -> str:
    assert process.stdout
    return process.stdout.readline().decode().strip()


def go(process: Process) -> None:
    assert process.stdin
    process.stdin.write(b"\n")
    process.stdin.flush()


def kill(process: Process) -> None:
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL


def fetched(con: anserdb.Connection) -> list[tuple[Any, ...]]:
    result = con.sql(QUERY)
    assert result is not None
    return result.fetchall()


def expected() -> list[tuple[Any, ...]]:
    with LoopbackServer() as server, connect(server, rows=ROWS) as con:
        return fetched(con)


def start(server: LoopbackServer, store: Path, program: str) -> Process:
    env = {**os.environ, "PYTHONHASHSEED": "0"}  # so that two processes hash alike
    return child(server, program, store=store, rows=ROWS, llm_concurrency=CAP, env=env)


def test_both_start_at_once_and_then_neither_need_ask(tmp_path: Path) -> None:
    store = tmp_path / "s.anser"
    with LoopbackServer(latency_s=0.005, jitter=0.9) as server:
        both = [start(server, store, ALL_AT_ONCE * 2) for _ in "ab"]
        for _ in range(2):  # the second time all answers are there
            assert [line(process) for process in both] == ["ready"] * 2
            asked = server.stats.requests
            for process in both:
                go(process)
            results = [line(process) for process in both]
            assert results[0] == results[1] != ""
        assert server.stats.requests == asked
        assert [process.communicate(timeout=60) for process in both] == [(b"", b"")] * 2
        with connect(server, store, ROWS) as con:
            assert fetched(con) == expected()
        counts = Counter(questions(server.stats.bodies))
    assert len(counts) == ROWS
    assert max(counts.values()) <= 2


def test_one_dies_and_the_other_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "s.anser"
    with LoopbackServer(latency_s=0.02, jitter=0.9) as server:
        with start(server, store, ALL_AT_ONCE) as dying, start(server, store, ALL_AT_ONCE) as living:
            assert (line(dying), line(living)) == ("ready", "ready")
            go(dying)
            until(lambda: server.stats.completed >= ROWS // 2)
            go(living)
            until(lambda: server.stats.completed >= ROWS // 2 + 2 * CAP)
            kill(dying)
            assert line(living)
            assert living.communicate(timeout=60) == (b"", b"")
        before = server.stats.requests
        with connect(server, store, ROWS) as con:
            assert fetched(con) == expected()
        assert server.stats.requests == before
        counts = Counter(questions(server.stats.bodies))
    assert len(counts) == ROWS
    # The living one found what the dying one had stored when it began; both asked what both had under way.
    assert sum(counts.values()) < 1.75 * ROWS


def test_a_process_that_dies_with_the_write_lock_in_its_hand_delays_and_harms_nobody(tmp_path: Path) -> None:
    store = tmp_path / "s.anser"
    pipe = subprocess.PIPE
    with LoopbackServer() as server, start(server, store, ALL_AT_ONCE) as living:
        assert line(living) == "ready"
        with connect(server, store, ROWS) as con:
            some = con.sql(QUERY.replace("FROM t", "FROM t WHERE id < 100"))
            assert some is not None
            some.fetchall()
        holder = [sys.executable, "-c", LOCK_HOLDER, str(store)]
        with subprocess.Popen(holder, stdin=pipe, stdout=pipe) as dying:
            assert line(dying) == "locked"
            go(living)
            until(lambda: server.stats.completed >= 100 + CAP)  # answers now wait for the lock
            kill(dying)
        assert line(living)
        assert living.communicate(timeout=60) == (b"", b"")
        assert server.stats.requests == ROWS
        with connect(server, store, ROWS) as con:
            assert fetched(con) == expected()
        assert server.stats.requests == ROWS
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("seen", [1, 150])
def test_every_row_that_was_seen_before_a_kill_has_its_answer_in_the_store(tmp_path: Path, seen: int) -> None:
    store = tmp_path / "s.anser"
    with LoopbackServer(latency_s=0.01, jitter=0.9) as server:
        with start(server, store, ROW_BY_ROW) as process:
            assert line(process) == "ready"
            go(process)
            lines = [line(process) for _ in range(seen)]
            process.send_signal(signal.SIGKILL)
            assert process.stdout
            lines += [text.decode().strip() for text in process.stdout.readlines() if text.endswith(b"\n")]
        until(lambda: server.stats.in_flight == 0)
        before = server.stats.requests
        rows = [(int(number), answer) for number, answer in (text.split("|", 1) for text in lines)]
        assert len(rows) >= seen
        with connect(server, store, ROWS) as con:
            ids = ", ".join(str(number) for number, _ in rows)
            result = con.sql(QUERY.replace("FROM t", f"FROM t WHERE id IN ({ids})"))
            assert result is not None
            assert result.fetchall() == sorted(rows)
        assert server.stats.requests == before


def test_no_row_is_seen_as_long_as_its_answer_cannot_be_written(tmp_path: Path) -> None:
    store = tmp_path / "s.anser"
    with LoopbackServer() as server, start(server, store, ROW_BY_ROW) as process:
        assert line(process) == "ready"
        with closing(sqlite3.connect(store, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            go(process)
            # Every call that may be in flight is answered and holds its slot: whatever may go on has gone on.
            until(lambda: server.stats.completed >= CAP)
            time.sleep(0.2)
            assert server.stats.requests == CAP
            kill(process)
        assert process.stdout
        assert process.stdout.read() == b""
