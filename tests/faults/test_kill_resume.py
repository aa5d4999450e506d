"""Processes that die, that run out of disk, that share a store; servers that are gone or overwhelmed."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import stamina

import anserdb
from tests.support.doors import QUERY, child, connect, questions, until
from tests.support.loopback import Fault, LoopbackServer

ROWS, CAP = 200, 8


def undisturbed() -> list[tuple[Any, ...]]:
    """The rows of a run in which nothing happens; the server's answers depend on the questions only."""
    with LoopbackServer() as server, connect(server, rows=ROWS) as con:
        return fetched(con)


def fetched(con: anserdb.Connection) -> list[tuple[Any, ...]]:
    result = con.sql(QUERY)
    assert result is not None
    return result.fetchall()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("answered", [1, 60, 199])
def test_a_killed_query_goes_on_where_it_was(tmp_path: Path, answered: int) -> None:
    store = tmp_path / "s.anser"
    with LoopbackServer(latency_s=0.01, jitter=0.9) as server:
        with child(server, "con.sql(QUERY).fetchall()", store=store, rows=ROWS, llm_concurrency=CAP) as process:
            until(lambda: server.stats.completed >= answered)
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        until(lambda: server.stats.in_flight == 0)
        first = questions(server.stats.bodies)
        with connect(server, store, ROWS, llm_concurrency=CAP) as con:
            result = con.sql(QUERY)
            assert result is not None
            rows = result.fetchall()
            assert result.progress is not None
            kept = ROWS - result.progress.calls
        second = questions(server.stats.bodies)[len(first) :]
    assert len(set(first + second)) == ROWS
    assert len(set(first)) == len(first)
    assert len(set(second)) == len(second) == ROWS - kept
    # What the dead process had asked and not yet stored was in flight, or had just landed: no more than that is asked twice.
    assert len(first) + len(second) <= ROWS + 2 * CAP
    assert kept >= min(answered, ROWS) - CAP
    assert rows == undisturbed()
    connection = sqlite3.connect(store)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_two_processes_share_a_store_and_ask_each_question_about_once(tmp_path: Path) -> None:
    program = """
sys.stdin.readline()
rows = con.sql(QUERY).fetchall()
print(len(rows), len({x for _, x in rows}), None in {x for _, x in rows})
"""
    store = tmp_path / "s.anser"
    with LoopbackServer(latency_s=0.01, jitter=0.9) as server:
        started = [
            child(server, "print('ready', flush=True)" + program, store=store, rows=ROWS, llm_concurrency=CAP)
            for _ in "ab"
        ]
        for process in started:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
        outputs = []
        for process in started:
            outputs.append(process.communicate(b"\n", timeout=90) if process is started[-1] else None)
            if process is started[0]:
                assert process.stdin
                process.stdin.write(b"\n")
                process.stdin.flush()
                until(lambda: server.stats.completed >= ROWS // 2)
        outputs[0] = started[0].communicate(timeout=90)
        asked = Counter(questions(server.stats.bodies))
    assert outputs == [(b"200 200 False\n", b"")] * 2
    assert len(asked) == ROWS
    # The second one meets half of the answers in the store; what both have in flight at a time may be asked twice.
    assert sum(asked.values()) < 1.6 * ROWS
    assert max(asked.values()) <= 2


def test_queries_of_one_process_ask_each_question_once(tmp_path: Path) -> None:
    with LoopbackServer(latency_s=0.005) as server:
        one, two = (connect(server, tmp_path / "s.anser", ROWS, llm_concurrency=CAP) for _ in "ab")
        got: list[Any] = []

        def work(con: anserdb.Connection) -> None:
            result = con.sql(QUERY)
            got.append(None if result is None else result.fetchall())

        threads = [threading.Thread(target=work, args=(con,)) for con in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        assert got[0] == got[1]
        assert len(got[0]) == ROWS
        asked = Counter(questions(server.stats.bodies))
        one.close()
        two.close()
    assert (len(asked), set(asked.values())) == (ROWS, {1})


def test_a_dead_endpoint_is_one_error_and_not_a_table_of_nulls() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with connect(address, rows=ROWS) as con:
            result = con.sql(QUERY)
            assert result is not None
            with stamina.set_testing(True, attempts=3, cap=True), pytest.raises(anserdb.ModelUnavailable) as caught:
                result.fetchall()
            assert address.removesuffix("/v1").removeprefix("http://") in str(caught.value)
            assert con.sql("SELECT count(*) FROM t").fetchall() == [(ROWS,)]  # type: ignore[union-attr]


def test_an_endpoint_that_dies_on_the_way_leaves_what_it_answered(tmp_path: Path) -> None:
    store = tmp_path / "s.anser"
    with (
        stamina.set_testing(True, attempts=2, cap=True),
        LoopbackServer(fault=lambda n, _: Fault(503) if n >= 50 else None) as server,
    ):
        with connect(server, store, ROWS, llm_on_error="fail") as con, pytest.raises(anserdb.ModelUnavailable):
            fetched(con)
        first = questions(server.stats.bodies)[:50]
        port = server.port
    # With its waits, for it may come while the endpoint is still left alone.
    with LoopbackServer(port=port) as server, connect(server, store, ROWS) as con:
        assert fetched(con) == undisturbed()
        second = questions(server.stats.bodies)
    assert len(second) == ROWS - 50
    assert set(first).isdisjoint(second)


def test_a_storm_of_429_loses_no_row() -> None:
    storm = Fault(429, {"Retry-After": "0.01"}, "slow down")
    with (
        LoopbackServer(fault=lambda n, _: storm if n % 2 else None) as server,
        connect(server, rows=60, llm_max_retries=20) as con,
    ):
        with stamina.set_testing(True, attempts=50, cap=True):
            result = con.sql(QUERY)
            assert result is not None
            rows = result.fetchall()
        assert rows == undisturbed()[:60]
        assert result.progress is not None
        assert result.progress.calls == 60
        assert sum(site.retries for site in result.progress.sites.values()) == server.stats.faults


@pytest.mark.skipif(os.name != "posix", reason="resource limits")
def test_a_full_disk_is_told_and_what_was_written_stays(tmp_path: Path) -> None:
    program = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
con.sql(QUERY.replace("FROM t", "FROM t WHERE id < 20")).fetchall()
size = max(os.path.getsize(os.path.join(sys.argv[1], n)) for n in os.listdir(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20_000, resource.RLIM_INFINITY))
try:
    con.sql(QUERY).fetchall()
    print("finished")
except anserdb.OperationalError as error:
    print("told", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(con.sql("SELECT count(*) FROM t").fetchall()[0][0])
con.close()
"""
    store = tmp_path / "s.anser"
    program = program.replace("sys.argv[1]", repr(str(tmp_path)))
    with LoopbackServer(answer=lambda body: questions([body])[0] * 60) as server:
        with child(server, program, store=store, rows=ROWS, llm_concurrency=CAP) as process:
            out, problems = process.communicate(timeout=90)
        assert problems == b""
        told, count = out.decode().splitlines()
        assert told.startswith("told")
        assert str(store) in told
        assert count == str(ROWS)
        first = questions(server.stats.bodies)
        with connect(server, store, ROWS) as con:
            result = con.sql(QUERY)
            assert result is not None
            assert len(result.fetchall()) == ROWS
        second = questions(server.stats.bodies)[len(first) :]
    assert len(set(first + second)) == ROWS
    assert set(first[:20]).isdisjoint(second)
