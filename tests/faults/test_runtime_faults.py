"""What the runtime does when a part of the world stops: processes, stores, models, readers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from anserdb.engine.dataflow import loop
from anserdb.engine.dataflow.bridge import from_reader, to_reader
from anserdb.engine.dataflow.run import QueryRun
from anserdb.engine.errors import BudgetExceeded, InterfaceError, Interrupted, ModelError
from anserdb.engine.physical.operators.call import run_call
from anserdb.engine.store import Store
from anserdb.udfs.models.base import Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.runtime import new_run, shouter, stage_of, store_at

ROWS = 200

KILLED = """
import asyncio, os, sys
from pathlib import Path
from tests.support.runtime import new_run, shouter, stage_of, store_at, stream, texts
from anserdb.engine.physical.operators.call import run_call

async def main():
    store = store_at(Path(sys.argv[1]))
    run, model = new_run(store), shouter(concurrency=8)
    batches = run_call(stream(texts(str(i) for i in range(200))), stage_of(run, model), run)
    async for batch in batches:
        for value in batch.column("__s1").to_pylist():
            os.write(1, f"{value}\\n".encode())

asyncio.run(main())
"""


def test_after_kill_9_every_row_that_was_seen_is_answered_without_a_call(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, stdout=subprocess.PIPE)
    assert child.stdout is not None
    seen = [child.stdout.readline().decode().strip() for _ in range(50)]
    child.send_signal(signal.SIGKILL)
    seen += child.stdout.read().decode().split("\n")[:-1]
    child.wait()
    child.stdout.close()
    with store_at(tmp_path) as store:
        model = shouter()
        assert sum_through_duckdb(new_run(store), model) == (ROWS, ROWS)
        asked = {request.user for request in model.calls if isinstance(request, Generate)}
    assert len(seen) >= 50
    assert not asked & set(seen)


async def pipeline(reader: pa.RecordBatchReader, model: ScriptedModel, run: QueryRun) -> AsyncIterator[pa.RecordBatch]:
    """DuckDB's rows through a call."""
    async for batch in run_call(from_reader(reader, run), stage_of(run, model), run):
        yield batch


def through_duckdb(run: QueryRun, model: ScriptedModel, sql: str) -> list[tuple[object, ...]]:
    """Rows of a query over the answers, streamed from one DuckDB connection into another."""
    with duckdb.connect() as lower, duckdb.connect() as upper:
        reader = lower.sql(f"SELECT range::VARCHAR AS x FROM range({ROWS})").to_arrow_reader(64)
        schema = reader.schema.append(stage_of(run, model).field())
        batches = run_call(from_reader(reader, run), stage_of(run, model), run)
        upper.execute("SET streaming_buffer_size = '1KB'")
        upper.register("answered", to_reader(schema, batches, run))
        try:
            return upper.sql(sql).fetchall()
        finally:
            upper.unregister("answered")


def sum_through_duckdb(run: QueryRun, model: ScriptedModel) -> tuple[object, ...]:
    return through_duckdb(run, model, "SELECT count(*), count(__s1) FROM answered")[0]


def tasks_left() -> list[str]:
    """Tasks on the shared loop besides the one that counts them."""

    async def count() -> list[str]:
        return [str(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    return loop.submit(count()).result()


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(None) as opened:
        yield opened


def test_the_whole_road_works_twice(store: Store) -> None:
    model = shouter()
    assert sum_through_duckdb(new_run(store), model) == (ROWS, ROWS)
    assert sum_through_duckdb(new_run(store), model) == (ROWS, ROWS)
    assert len(model.calls) == ROWS
    assert not tasks_left()


def test_a_limit_above_leaves_nothing_running(store: Store) -> None:
    run, model = new_run(store), shouter(concurrency=2)
    assert len(through_duckdb(run, model, "SELECT __s1 FROM answered LIMIT 3")) == 3
    assert not tasks_left()
    assert model.in_flight == 0
    assert len(model.calls) < ROWS
    assert run.error is None


def test_a_query_cancelled_from_another_thread_ends_and_keeps_its_answers(store: Store) -> None:
    held = threading.Event()

    async def delay(request: Request) -> None:
        assert isinstance(request, Generate)
        if request.user == "100":
            held.set()
            await asyncio.Event().wait()

    run, model, reason = new_run(store), shouter(concurrency=8, delay=delay), Interrupted("stopped by hand")
    stopper = threading.Thread(target=lambda: (held.wait(30), run.cancel(reason)))
    stopper.start()
    with pytest.raises(duckdb.Error):
        sum_through_duckdb(run, model)
    stopper.join()
    assert run.error is reason
    assert not tasks_left()
    assert model.in_flight == 0
    kept = {call["key"] for call in store.query("calls").to_pylist() if call["outcome"] == "ok"}
    assert len(kept) >= 64
    again = shouter()
    sum_through_duckdb(new_run(store), again)
    assert len(again.calls) == ROWS - len(kept)


def test_a_budget_that_ends_crosses_duckdb_with_its_type(store: Store) -> None:
    run, model = new_run(store, llm_max_calls=70), shouter()
    with pytest.raises(duckdb.Error, match="llm_max_calls"):
        sum_through_duckdb(run, model)
    assert isinstance(run.error, BudgetExceeded)
    assert run.error.rows_done <= 70
    assert not tasks_left()


def test_a_store_that_goes_away_fails_the_query_and_not_the_rows(store: Store) -> None:
    def close(request: Request) -> str:
        assert isinstance(request, Generate)
        if request.user == "100":
            store.close()
        return request.user

    run = new_run(store)
    with pytest.raises(duckdb.Error, match="store is closed"):
        sum_through_duckdb(run, ScriptedModel([("", close)]))
    assert isinstance(run.error, InterfaceError)
    assert not tasks_left()


def test_a_source_that_breaks_in_the_middle_fails_the_query(store: Store) -> None:
    run, model = new_run(store), shouter()
    with duckdb.connect(config={"threads": 1}) as lower:
        lower.execute("SET streaming_buffer_size = '1KB'")
        value = "CASE WHEN range = 7000 THEN error('row 7000 is broken') ELSE (range % 50)::VARCHAR END"
        reader = lower.sql(f"SELECT {value} AS x FROM range(100_000)").to_arrow_reader(2048)
        upstream = to_reader(reader.schema.append(stage_of(run, model).field()), pipeline(reader, model, run), run)
        with pytest.raises(Exception, match="row 7000 is broken"):
            upstream.read_all()
    assert not tasks_left()


def test_a_model_that_fails_in_every_way_makes_nulls_and_lines(store: Store) -> None:
    failures = [("5$", ModelError("five")), ("7$", "invalid"), ("^3", ModelError("three"))]
    run, model = new_run(store), shouter(*failures)
    rows, answered = sum_through_duckdb(run, model)
    bad = sum(str(i).endswith(("5", "7")) or str(i).startswith("3") for i in range(ROWS))
    assert (rows, answered) == (ROWS, ROWS - bad)
    assert len(store.query("errors").to_pylist()) == bad
    assert not tasks_left()


INTERRUPTED = """
import os, signal, sys, threading
import duckdb, pyarrow as pa
from anserdb.engine.dataflow.bridge import to_reader
from anserdb.engine.store import Store
from tests.support.runtime import new_run
import asyncio

schema = pa.schema([("x", pa.int64())])

async def silent():
    await asyncio.sleep(0.2)  # let the main thread come to its wait
    os.write(1, b"waiting\\n")
    await asyncio.Event().wait()
    yield

store = Store.open(None)
run = new_run(store)
try:
    to_reader(schema, silent(), run).read_next_batch()
except KeyboardInterrupt:
    print("interrupted", type(run.error).__name__, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_reaches_a_main_thread_that_waits_for_the_pipeline() -> None:
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    out, errors = child.communicate(timeout=60)
    assert (child.returncode, out, errors) == (0, "interrupted Interrupted\n", "")
