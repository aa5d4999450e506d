"""The bill is the server's: what left for it, and nothing else, is in the records, whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import stamina

import anserdb
from anserdb.engine.errors import Error, Interrupted
from anserdb.engine.interfaces.shell.live import bill
from tests.support.doors import connect, until
from tests.support.loopback import Fault, LoopbackServer, user_text

FAULTS = (Fault(429, {"retry-after-ms": "1"}), Fault(500), Fault("drop"), Fault("garbage"), Fault("wrong_schema"),
          Fault("truncated_body"), Fault("truncated_sse"), Fault("empty_choices"), Fault("malformed_json"))  # fmt: skip


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


def books(con: anserdb.Connection) -> dict[str, int]:
    """The records, added up as the server adds."""
    result = con.sql(
        "SELECT coalesce(sum(1 + retries), 0)::BIGINT AS requests, coalesce(sum(tokens_in), 0)::BIGINT AS tokens_in, "
        "coalesce(sum(tokens_out), 0)::BIGINT AS tokens_out FROM llm_calls()"
    )
    assert result is not None
    return dict(zip(result.columns, result.fetchall()[0], strict=True))


def seen(server: LoopbackServer) -> dict[str, int]:
    """What the server saw."""
    stats = server.stats
    return {"requests": stats.requests, "tokens_in": stats.tokens_in, "tokens_out": stats.tokens_out}


@pytest.mark.parametrize("seed", range(3))
def test_requests_and_tokens_are_the_servers_whatever_fails(seed: int) -> None:
    dice = Random(seed)

    def fault(number: int, body: dict[str, Any]) -> Fault | None:
        del number, body
        return dice.choice(FAULTS) if dice.random() < 0.25 else None

    with LoopbackServer(fault=fault, seed=seed) as server, connect(server, rows=60, llm_concurrency=7) as con:
        result = con.sql("SELECT id, LLM_CLASSIFY(body, ['a', 'b', 'c']) AS x FROM t ORDER BY id")
        assert result is not None
        assert len(result.fetchall()) == 60
        assert books(con) == seen(server)
        assert server.stats.faults > 5
        progress = result.progress
        assert progress is not None
        (site,) = progress.sites.values()
        assert site.calls + site.retries == server.stats.requests
        assert site.tokens_in == server.stats.tokens_in
        (phases,) = con.sql("SELECT list(DISTINCT phase ORDER BY phase) FROM llm_calls()").fetchall()  # type: ignore[union-attr]
        assert phases == (["reask", "serve"],)


def test_a_call_that_fails_for_good_counts_every_attempt() -> None:
    with LoopbackServer(fault=lambda n, body: Fault(500)) as server, connect(server, rows=1, llm_max_retries=3) as con:
        with pytest.raises(Error):
            con.sql("SELECT LLM_COMPLETE('say', body, on_error := 'fail') AS x FROM t").fetchall()  # type: ignore[union-attr]
        assert server.stats.requests == 4
        assert books(con)["requests"] == 4


def held(number: int, body: dict[str, Any]) -> Fault | None:
    """Rows from 10 on are never answered."""
    del number
    return Fault("timeout") if int(user_text(body).rstrip(".").rpartition(" ")[2]) >= 10 else None


def test_calls_that_an_interrupt_finds_waiting_were_never_made() -> None:
    with LoopbackServer(fault=held) as server, connect(server, rows=200, llm_concurrency=4) as con:

        def stop(progress: object) -> None:
            if server.stats.in_flight == 4 and server.stats.completed == 10:
                con.interrupt()

        con.progress_listener = stop
        result = con.sql("SELECT id, LLM_COMPLETE('say', body) AS x FROM t")
        assert result is not None
        with pytest.raises(Interrupted):
            result.fetchall()
        until(lambda: server.stats.in_flight == 0)
        assert server.stats.requests == 14
        assert books(con) == seen(server)
        assert result.progress is not None
        assert result.progress.calls == 14


def long_from_ten_on(body: dict[str, Any]) -> str:
    """One word about each of the first ten rows, half a minute of words about the others."""
    return "word " * 500 if int(user_text(body).rstrip(".").rpartition(" ")[2]) >= 10 else "word"


def test_calls_that_a_limit_cuts_short_are_in_both_books() -> None:
    with (
        LoopbackServer(answer=long_from_ten_on, tokens_per_s=20, price_out=1.0) as server,
        connect(server, rows=200, llm_concurrency=16) as con,
    ):
        rows = con.sql("SELECT id FROM t WHERE length(LLM_COMPLETE('say', body)) = 4 LIMIT 8").fetchall()  # type: ignore[union-attr]
        assert len(rows) == 8
        until(lambda: server.stats.in_flight == 0)
        assert server.bill.total.cancelled > 0
        assert server.bill.total.lost_tokens_out > 0
        assert books(con) == seen(server)


def test_without_a_key_no_call_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANTED_KEY", raising=False)
    with connect("http://192.0.2.1/v1", rows=5) as con:
        result = con.sql("SELECT LLM_COMPLETE('say', body) AS x FROM t")
        assert result is not None
        with pytest.raises(Error, match="PLANTED_KEY"):
            result.fetchall()
        assert books(con)["requests"] == 0
        assert con.usage().num_rows == 0
        assert result.progress is not None
        assert bill(result.progress, 0, 0.0).startswith("0 rows in 0.0 s · 0 model calls · 0 tokens")


def test_a_budget_is_not_spent_on_calls_that_were_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANTED_KEY", raising=False)
    with connect("http://192.0.2.1/v1", rows=5, llm_max_calls=1) as con:
        result = con.sql("SELECT LLM_COMPLETE('say', body) AS x FROM t")
        assert result is not None
        with pytest.raises(Error, match="needs a key"):
            result.fetchall()


def test_nobody_listening_is_no_call() -> None:
    with LoopbackServer() as server:
        gone = server.base_url
    with connect(gone, rows=5) as con:
        with pytest.raises(Error, match="no connection"):
            con.sql("SELECT LLM_COMPLETE('say', body) AS x FROM t").fetchall()  # type: ignore[union-attr]
        assert books(con)["requests"] == 0


def test_a_model_file_that_is_not_there_is_no_call(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    with anserdb.connect(store=":memory:", llm_offline=True) as con:
        con.sql(f"CREATE MODEL mine (PROVIDER llamacpp, PATH '{tmp_path / 'none.gguf'}')")
        with pytest.raises(Error, match=r"none\.gguf"):
            con.sql("SELECT LLM_COMPLETE('say', x, model := 'mine') FROM (VALUES ('a')) v(x)").fetchall()  # type: ignore[union-attr]
        assert books(con)["requests"] == 0
