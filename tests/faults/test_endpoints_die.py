"""Whole queries over real HTTP while their endpoints die, come back, or hang."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.dataflow.breaker import MOST_FAILURES
from anserdb.engine.errors import ModelUnavailable
from tests.support.loopback import Fault, LoopbackServer

ROWS, CAP = 300, 8


class Deaf:
    """Takes connections at a port and drops them; counts them."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen(512)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@contextmanager
def connected(tmp_path: Path, *servers: LoopbackServer, **settings: float) -> Iterator[anserdb.Connection]:
    where = ", ".join(f"'{server.base_url}'" for server in servers)
    con = anserdb.connect(store=str(tmp_path / "store.db"), llm_model="m", **settings)  # pyright: ignore[reportArgumentType]
    try:
        con.sql(f"CREATE MODEL m USING openai (model 'simulated', base_url [{where}], concurrency {CAP})")
        yield con
    finally:
        con.close()


def asked(con: anserdb.Connection) -> list[tuple[int, str | None]]:
    result = con.sql(f"SELECT i, LLM_COMPLETE('Say it in French', i::VARCHAR) FROM range({ROWS}) r(i)")
    assert result is not None
    return result.fetchall()


def until(condition: Callable[[], bool], query: Future[Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and not query.done():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def all_answered(rows: list[tuple[int, str | None]]) -> bool:
    return [number for number, _ in rows] == list(range(ROWS)) and all(said for _, said in rows)


def test_a_server_that_dies_in_mid_query_and_comes_back_costs_no_row(tmp_path: Path) -> None:
    server = LoopbackServer(latency_s=0.01)
    with ThreadPoolExecutor(1) as threads, server, connected(tmp_path, server) as con:
        query = threads.submit(asked, con)
        until(lambda: server.stats.completed >= 60, query)
        server.__exit__()
        answered = server.stats.completed
        deaf = Deaf(server.port)
        time.sleep(0.4)
        deaf.close()
        with LoopbackServer(port=server.port, latency_s=0.01) as again:
            rows = query.result(60)
            assert all_answered(rows)
            assert again.stats.completed >= ROWS - answered
    assert deaf.connections <= MOST_FAILURES + CAP + 4


def test_one_of_two_dies_for_good_and_its_rows_go_to_the_other_without_a_retry(tmp_path: Path) -> None:
    dies, lives = LoopbackServer(latency_s=0.01), LoopbackServer(latency_s=0.01)
    with ThreadPoolExecutor(1) as threads, dies, lives, connected(tmp_path, dies, lives, llm_max_retries=0) as con:
        query = threads.submit(asked, con)
        until(lambda: dies.stats.completed >= 40, query)
        assert not query.done()
        dies.__exit__()
        assert all_answered(query.result(60))
        used = con.sql("SELECT DISTINCT endpoint FROM llm_calls() WHERE outcome = 'ok'")
        assert used is not None
        assert {endpoint for (endpoint,) in used.fetchall()} == {dies.base_url, lives.base_url}
        con.sql("CREATE OR REPLACE MODEL m USING openai (model 'simulated', base_url '" + dies.base_url + "')")
        assert all_answered(asked(con))  # whoever answered, the answers are the first address's


def test_where_all_are_dead_the_error_names_each_and_why_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-shown-0123")
    gone = LoopbackServer()
    with gone:
        pass
    fails = LoopbackServer(fault=lambda number, body: Fault(503, message="overloaded, sk-not-to-be-shown-0123"))
    with fails, connected(tmp_path, gone, fails, llm_max_retries=0) as con, pytest.raises(ModelUnavailable) as caught:
        asked(con)
    told = str(caught.value)
    assert re.search(rf"no connection to {gone.base_url} \(.+\); simulated at {fails.base_url} is failing", told), told
    assert "None of the 2 endpoints of model m answers" in told
    assert "is failing (HTTP 503). Check that these servers run" in told
    assert "sk-not" not in told


def test_what_hangs_is_asked_a_second_time_and_the_records_say_so(tmp_path: Path) -> None:
    hangs = LoopbackServer(latency_s=0.01, fault=lambda number, body: Fault("timeout") if number % 40 == 39 else None)
    quick = LoopbackServer(latency_s=0.01)
    with hangs, quick, connected(tmp_path, hangs, quick, llm_hedge_ratio=0.2, llm_max_retries=0) as con:
        assert all_answered(asked(con))
        records = con.sql("SELECT sum(1 + retries), count(*) FILTER (discarded) FROM llm_calls()")
        assert records is not None
        ((sent, discarded),) = records.fetchall()
        assert sent == hangs.stats.requests + quick.stats.requests
        assert 0 < discarded <= 0.2 * ROWS
        hung = con.sql("SELECT DISTINCT endpoint FROM llm_calls() WHERE discarded")
        assert hung is not None
        assert hangs.base_url in {endpoint for (endpoint,) in hung.fetchall()}


@pytest.mark.parametrize("ratio", [0.0, 0.2])
def test_a_query_that_is_closed_leaves_no_call_at_any_endpoint(tmp_path: Path, ratio: float) -> None:
    ends = LoopbackServer(latency_s=0.05), LoopbackServer(latency_s=0.2)
    with ends[0], ends[1], connected(tmp_path, *ends, llm_hedge_ratio=ratio) as con:
        result = con.sql(f"SELECT i, LLM_COMPLETE('Say it in French', i::VARCHAR) FROM range({ROWS}) r(i)")
        assert result is not None
        result.fetchmany(20)
        result.close()
        deadline = time.monotonic() + 20
        while any(end.stats.in_flight for end in ends):
            assert time.monotonic() < deadline
            time.sleep(0.005)
