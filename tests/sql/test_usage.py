"""``llm_usage()`` and ``llm_calls()``: what was asked, by whom, when, for how much; also while it goes on."""

from __future__ import annotations

import datetime
import threading
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.store.upkeep import Upkeep
from tests.support.doors import connect
from tests.support.gate import Gate
from tests.support.loopback import LoopbackServer


def rows(con: anserdb.Connection, query: str) -> list[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def test_usage_is_by_query_model_function_and_day(tmp_path: Path) -> None:
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="scripted") as con:
        con.sql("CREATE MODEL other (PROVIDER scripted, SEED 2)")
        first = con.sql("SELECT LLM_COMPLETE('a', i::VARCHAR), LLM_SENTIMENT(i::VARCHAR) FROM range(3) r(i)")
        second = con.sql("SELECT LLM_COMPLETE('a', i::VARCHAR, model := 'other') FROM range(5) r(i)")
        expected = set()
        for result in (first, second):
            assert result is not None
            result.fetchall()
            assert result.progress is not None
            for site in result.progress.sites.values():
                expected.add((result.progress.query_id, site.model, site.function, site.calls))
        assert len(expected) == 3
        assert set(rows(con, "SELECT query_id, model, function, calls FROM llm_usage()")) == expected
        days = {day for (day,) in rows(con, "SELECT DISTINCT day FROM llm_usage()")}
        today = datetime.datetime.now(datetime.UTC).date()
        assert days <= {today, today - datetime.timedelta(days=1)}
        assert sum(con.usage().column("calls").to_pylist()) == sum(calls for *_, calls in expected)


def test_usage_is_live(tmp_path: Path) -> None:
    gate = Gate("held", concurrency=2)
    with (
        anserdb.connect(store=tmp_path / "s.anser") as running,
        anserdb.connect(store=tmp_path / "s.anser") as watching,
    ):
        running.register_model("gate", gate.model)
        query = "SELECT LLM_COMPLETE('q', x, model := 'gate') AS a FROM (VALUES ('one'), ('two'), ('held')) v(x)"
        result = running.sql(query)
        assert result is not None
        thread = threading.Thread(target=result.fetchall)
        thread.start()
        gate.wait_for(3)
        while (seen := rows(watching, "SELECT sum(calls) FROM llm_usage() WHERE model = 'gate'")) != [(2,)]:
            assert seen in ([(None,)], [(1,)])
        gate.open()
        thread.join()
        assert rows(watching, "SELECT sum(calls) FROM llm_usage() WHERE model = 'gate'") == [(3,)]


def test_what_was_used_stays_known_when_records_have_gone(tmp_path: Path) -> None:
    total = "SELECT model, function, sum(calls), sum(tokens_in), sum(unknown_cost_calls) FROM llm_usage() GROUP BY ALL"
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="scripted") as con:
        rows(con, "SELECT LLM_COMPLETE('a', i::VARCHAR) FROM range(300) r(i)")
        before, summary = rows(con, total), con.usage().to_pylist()
        store = con._open_session().store
        store.upkeep = Upkeep(store._writer, most_calls=10)
        store.upkeep.tidy()
        while store.upkeep._busy:
            store.submit(lambda connection: None).result()
        assert rows(con, "SELECT count(*) FROM llm_calls()") == [(10,)]
        assert rows(con, total) == before
        # Sums of the same numbers, added in another order.
        assert con.usage().to_pylist() == [pytest.approx(line) for line in summary]
        assert rows(con, "SELECT calls FROM llm_usage() WHERE query_id IS NULL") == [(290,)]


def test_a_record_tells_the_wait_from_the_work_and_where_its_price_is_from() -> None:
    latency = 0.03
    with LoopbackServer(latency_s=latency) as server, connect(server, rows=4, llm_concurrency=1) as con:
        con.sql("ALTER MODEL remote SET (price_in 1, price_out 1)")
        rows(con, "SELECT LLM_COMPLETE('say', body) AS x FROM t")
        waits = rows(con, "SELECT queue_seconds, seconds, price_source FROM llm_calls() ORDER BY queue_seconds")
        for place, (queue_seconds, seconds, source) in enumerate(waits):
            assert queue_seconds >= place * latency * 0.9
            assert seconds >= latency * 0.9
            assert source == "CREATE MODEL"
        rows(con, "SELECT LLM_COMPLETE('say', body, model := 'scripted') AS x FROM t")
        assert rows(con, "SELECT DISTINCT price_source FROM llm_calls() WHERE model = 'scripted'") == [("local",)]
        con.sql("ALTER MODEL remote SET (price_in NULL, price_out NULL)")
        rows(con, "SELECT LLM_COMPLETE('say again', body) AS x FROM t LIMIT 1")
        assert rows(con, "SELECT cost_usd, price_source FROM llm_calls() LIMIT 1") == [(None, "unknown")]
