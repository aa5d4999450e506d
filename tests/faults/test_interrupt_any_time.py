"""An interrupt at any instant of a statement, from its planning to its last row, ends it; one when nothing runs ends nothing.

Instants of planning are counted in calls of functions, those of running in requests that the server has seen: no clock.
"""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Iterator

import duckdb
import pytest

import anserdb
from anserdb.engine.interfaces.waiting import Waiting
from tests.support.doors import QUERY, connect, questions, until
from tests.support.instants import Instants, from_another_thread
from tests.support.loopback import Fault, LoopbackServer

EMBEDDED = "SELECT list_transform([body], lambda z: LLM_COMPLETE('say', z)) FROM t"
PLANNED = {
    "query": QUERY,
    "change": f"CREATE OR REPLACE TABLE u AS {QUERY}",
    "explain": f"EXPLAIN {QUERY}",
    "execute": "EXECUTE p(17)",
    "embedded": EMBEDDED,
    "script": f"SELECT 1; {QUERY}; SELECT 2",
}
REPEATS = 20
HELD = 8
"""Calls in flight, none of which is answered any more."""


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("CREATE TABLE t AS SELECT i AS id, 'body ' || i AS body FROM range(20) r(i)")
        con.sql("PREPARE p AS SELECT LLM_COMPLETE('say', body) FROM t WHERE id < $1")
        yield con


def usable(con: anserdb.Connection) -> None:
    assert con.execute("SELECT count(*) FROM t").fetchall() in ([(20,)], [(60,)])
    assert ("main", "u") not in con.tables()


def instants(con: anserdb.Connection, query: str, chosen: random.Random) -> list[int]:
    """Some of those of its planning, once all that is read only once has been read."""
    counts = []
    for _ in range(4):
        with Instants().watched() as whole:
            con.sql(query)
        counts.append(whole.count)
    con.sql("DROP TABLE IF EXISTS u")
    return sorted(chosen.sample(range(1, min(counts)), REPEATS))


def doors(con: anserdb.Connection) -> tuple[Callable[[str], object], ...]:
    return (con.sql, con.cursor().execute)


@pytest.mark.parametrize("kind", PLANNED)
def test_planning_is_interrupted_at_any_instant(con: anserdb.Connection, kind: str) -> None:
    chosen = random.Random(kind)
    for at in instants(con, PLANNED[kind], chosen):
        run = chosen.choice(doors(con))
        with Instants(at, from_another_thread(con.interrupt)).watched(), pytest.raises(anserdb.Interrupted):
            run(PLANNED[kind])
        usable(con)


def test_ctrl_c_is_heard_at_any_instant_of_planning(con: anserdb.Connection) -> None:
    chosen = random.Random(4)
    for at in instants(con, QUERY, chosen):
        signalled = Instants(at, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt), signalled.watched():
            con.sql(QUERY)
        usable(con)
        assert con.sql(QUERY) is not None


def held(number: int, body: dict[str, object]) -> Fault | None:
    """Rows from 30 on are never answered."""
    return Fault("timeout") if int(questions([body])[0].rstrip(".").rpartition(" ")[2]) >= 30 else None


RUN: dict[str, Callable[[anserdb.Connection], object]] = {
    "rows": lambda con: con.sql(QUERY).fetchall(),  # type: ignore[union-attr]
    "batches": lambda con: list(con.sql(QUERY).batches()),  # type: ignore[union-attr]
    "change": lambda con: con.sql(f"CREATE TABLE u AS {QUERY}"),
    "cursor": lambda con: con.execute(QUERY).fetchmany(60),
    "one by one": lambda con: list(con.execute(QUERY)),
    "analyze": lambda con: con.explain(QUERY, analyze=True),
    "execute": lambda con: con.sql("EXECUTE p(60)").fetchall(),  # type: ignore[union-attr]
    "prefetch": lambda con: con.sql(EMBEDDED).fetchall(),  # type: ignore[union-attr]
}


def test_a_running_statement_is_interrupted_at_any_instant() -> None:
    chosen = random.Random(6)
    with LoopbackServer(fault=held) as server, connect(server, rows=60, llm_concurrency=HELD, llm_cache=False) as con:
        con.sql("PREPARE p AS SELECT LLM_COMPLETE('say', body) FROM t WHERE id < $1")
        for number in range(REPEATS):
            run = list(RUN.values())[number % len(RUN)]
            raised: list[BaseException] = []
            seen, after = server.stats.requests, chosen.randint(1, 30 + HELD)
            thread = threading.Thread(target=_caught, args=(run, con, raised))
            thread.start()
            until(lambda: server.stats.requests - seen >= after)  # noqa: B023 (it is over before the next)
            con.interrupt()
            thread.join()
            assert [type(error) for error in raised] == [anserdb.Interrupted]
            until(lambda: server.stats.in_flight == 0)
            usable(con)


def _caught(run: Callable[[anserdb.Connection], object], con: anserdb.Connection, raised: list[BaseException]) -> None:
    try:
        run(con)
    except BaseException as error:
        raised.append(error)


def test_between_two_looks_at_its_rows_a_query_is_interrupted_too() -> None:
    with LoopbackServer(fault=held) as server, connect(server, rows=60, llm_concurrency=HELD) as con:
        cursor = con.execute(QUERY.removesuffix("ORDER BY id"))
        assert cursor.fetchone() is not None
        until(lambda: server.stats.in_flight == HELD)
        con.interrupt()
        until(lambda: server.stats.in_flight == 0)
        usable(con)
        with pytest.raises(anserdb.Interrupted):
            cursor.fetchall()
        usable(con)


def test_when_nothing_runs_an_interrupt_ends_nothing(con: anserdb.Connection) -> None:
    with duckdb.connect() as native:  # as it is with DuckDB's own
        relation = native.sql("SELECT 1")
        native.interrupt()
        assert relation.fetchall() == native.sql("SELECT 1").fetchall() == [(1,)]
    not_begun = con.sql(QUERY)
    con.interrupt()
    assert not_begun is not None
    assert len(not_begun.fetchall()) == 20
    con.interrupt()
    assert len(con.execute(QUERY).fetchall()) == 20


@pytest.mark.parametrize("way", ["wait", "here", "steps"])
def test_an_interrupt_that_fell_between_two_statements_of_duckdb_is_repeated(way: str) -> None:
    waiting, stopped, began = Waiting(), threading.Semaphore(0), threading.Event()
    outcome: list[object] = []

    def work() -> str:
        began.set()
        for _ in range(3):  # the first two stop nothing
            assert stopped.acquire(timeout=60)
        return "stopped"

    def run() -> None:
        try:
            more = (lambda _: True,) if way == "steps" else ()
            outcome.append(getattr(waiting, way)(work, stopped.release, *more))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(60)
    waiting.interrupt()
    thread.join()
    assert outcome == ["stopped"]
    left = stopped.acquire(blocking=False)  # it may have been on its way
    waiting.interrupt()
    assert not stopped.acquire(timeout=0.1) or left
