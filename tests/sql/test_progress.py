"""What a program that watches a query is told."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

import anserdb
from anserdb.engine.dataflow.progress import QueryProgress, SiteProgress
from anserdb.engine.dataflow.progress_events import ProgressEvent, progress_event
from anserdb.engine.errors import BudgetExceeded
from tests.support.doors import connect
from tests.support.gate import Gate
from tests.support.loopback import LoopbackServer, user_text

QUERY = "SELECT id, LLM_COMPLETE('say', body) AS x FROM t ORDER BY id"


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("CREATE TABLE t AS SELECT i AS id, 'body ' || i % 20 AS body FROM range(40) r(i)")
        yield con


def fetch(con: anserdb.Connection, query: str = QUERY) -> int:
    result = con.sql(query)
    assert result is not None
    return len(result.fetchall())


def test_the_last_event_is_the_bill_and_events_never_go_back(con: anserdb.Connection) -> None:
    events: list[ProgressEvent] = []
    con.on_progress(events.append)
    con.sql("CREATE MODEL slow (PROVIDER scripted, DELAY_MS 60, CONCURRENCY 4, PRICE_IN 1, PRICE_OUT 1)")
    con.sql("SET llm_model = 'slow'")
    result = con.sql(QUERY)
    assert result is not None
    rows = result.fetchall()
    last = events[-1]
    (operator,) = last.operators
    assert last.finished
    assert [event.finished for event in events].count(True) == 1
    assert (operator.rows_done, operator.rows_total, operator.exact, operator.eta_s) == (40, 40, True, 0.0)
    assert (last.calls, last.cached, operator.calls, operator.in_flight) == (20, 0, 20, 0)
    assert result.progress is not None
    assert last.cost_usd == result.progress.cost_usd
    assert (last.cost_usd or 0) > 0
    assert last.tokens == operator.tokens_in + operator.tokens_out > 0
    assert last.query_id == result.progress.query_id
    for before, after in itertools.pairwise(events):
        assert after.calls >= before.calls
        assert after.elapsed_s >= before.elapsed_s
        assert sum(o.rows_done for o in after.operators) >= sum(o.rows_done for o in before.operators)
    assert len(rows) == 40
    fetch(con)
    assert (events[-1].calls, events[-1].cached) == (0, 20)


def test_what_is_left_is_known_while_calls_are_under_way(con: anserdb.Connection) -> None:
    gate = Gate("body 19", concurrency=4)
    con.register_model("gate", gate.model)
    seen: list[ProgressEvent] = []

    def watch(event: ProgressEvent) -> None:
        seen.append(event)
        if event.operators and event.operators[0].rows_done:
            gate.open()

    con.on_progress(watch)
    fetch(con, "SELECT id, LLM_COMPLETE('say', body, model := 'gate') AS x FROM t WHERE id > 3 ORDER BY id")
    early = [event.operators[0] for event in seen if not event.finished and event.operators]
    assert any(o.rows_total == 36 and o.rows_done < 36 for o in early)
    assert all(o.eta_s is not None for o in early if o.rows_done)


def test_large_inputs_are_expected_before_they_are_read(con: anserdb.Connection) -> None:
    con.sql("CREATE TABLE big AS SELECT i AS id, 'body ' || i % 50 AS body FROM range(300_000) r(i)")
    gate = Gate("body 7", concurrency=256)
    con.register_model("gate", gate.model)
    seen: list[ProgressEvent] = []

    def watch(event: ProgressEvent) -> None:
        seen.append(event)
        if any(o.rows_in for o in event.operators):
            gate.open()

    con.on_progress(watch)
    fetch(con, "SELECT id, LLM_COMPLETE('say', body, model := 'gate') AS x FROM big")
    early = [o for event in seen[:-1] for o in event.operators if o.rows_in and not o.exact]
    assert early
    assert {o.rows_total for o in early} == {300_000}
    assert (seen[-1].operators[0].rows_total, seen[-1].operators[0].exact) == (300_000, True)


def test_rows_of_an_operator_above_another_are_guessed_from_those_that_came() -> None:
    progress = QueryProgress("q", 0.0)
    progress.sites["1:A"] = SiteProgress(
        "1:A", "A", "m", rows_in=200, rows_done=100, rows_total=1000, total_is_exact=True
    )
    progress.sites["2:B"] = SiteProgress("2:B", "B", "m", rows_in=30, rows_done=20)
    event = progress_event(progress, lambda: 10.0)
    lower, upper = event.operators
    assert (lower.eta_s, upper.rows_total, upper.exact) == (90.0, 300, False)
    assert upper.eta_s == event.eta_s == 140.0
    progress.sites["1:A"].rows_done = progress.sites["1:A"].rows_in = 1000
    upper = progress_event(progress, lambda: 10.0).operators[1]
    assert (upper.rows_total, upper.exact) == (30, True)


def test_nothing_is_made_up() -> None:
    progress = QueryProgress("q", 0.0, {"1:A": SiteProgress("1:A", "A", "m", rows_in=5, unpriced=1)})
    event = progress_event(progress, lambda: 10.0)
    assert (event.cost_usd, event.eta_s, event.operators[0].rows_total) == (None, None, None)


def test_several_watch_until_they_have_enough(con: anserdb.Connection) -> None:
    counts = [0, 0]

    def count(which: int) -> None:
        counts[which] += 1

    stop_first = con.on_progress(lambda event: count(0))
    con.on_progress(lambda event: count(1))
    fetch(con)
    assert counts[0] == counts[1] > 0
    stop_first()
    stop_first()
    fetch(con)
    assert counts[1] > counts[0]


def test_a_watcher_that_fails_costs_no_answer(con: anserdb.Connection) -> None:
    other: list[ProgressEvent] = []

    def broken(event: ProgressEvent) -> None:
        raise ValueError("no screen")

    con.on_progress(broken)
    con.on_progress(other.append)
    with pytest.warns(RuntimeWarning, match="ValueError: no screen"):
        assert fetch(con) == 40
    assert other[-1].finished
    assert fetch(con) == 40  # no further warning


def test_the_end_of_a_failed_query_is_told(con: anserdb.Connection) -> None:
    events: list[ProgressEvent] = []
    con.on_progress(events.append)
    con.sql("SET llm_max_calls = 3")
    with pytest.raises(BudgetExceeded):
        fetch(con)
    assert events[-1].finished
    assert events[-1].calls == 3


def test_a_part_says_so_in_its_last_event(con: anserdb.Connection) -> None:
    events: list[ProgressEvent] = []
    con.on_progress(events.append)
    con.sql("SET llm_max_calls = 3; SET llm_on_budget = 'partial'")
    fetch(con)
    assert events[-1].notices[0].startswith("This is a part of the result")


def test_only_what_has_left_is_in_flight() -> None:
    with LoopbackServer(latency_s=0.02) as server, connect(server, rows=60, llm_concurrency=4) as con:
        events: list[ProgressEvent] = []
        con.on_progress(events.append)
        assert len(con.sql(QUERY).fetchall()) == 60
        seen = [operator for event in events for operator in event.operators]
        assert max(operator.in_flight for operator in seen) <= 4
        assert seen[-1].calls == server.stats.requests == 60


def test_explain_analyze_counts_calls_by_phase() -> None:
    def answer(body: dict[str, Any]) -> str:
        return "no number" if "body 3" in user_text(body) else "1"

    with LoopbackServer(answer=answer) as server, connect(server, rows=8) as con:
        con.sql("CREATE OR REPLACE TABLE t AS SELECT i AS id, 'body ' || i AS body FROM range(8) r(i)")
        result = con.sql("EXPLAIN ANALYZE SELECT LLM_COMPLETE('say', body, returns := 'INTEGER') FROM t")
        assert result is not None
        text = result.fetchall()[0][-1]
        requests = server.stats.requests
    assert f"rows=8 calls={requests} ({requests - 8} asked again) cached=0" in text
    assert requests > 8
