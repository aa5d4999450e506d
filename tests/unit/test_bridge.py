"""Arrow batches between DuckDB's threads and the loop."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator

import duckdb
import pyarrow as pa
import pytest

from anserdb.engine.dataflow import bridge, loop, streams
from anserdb.engine.dataflow.bridge import from_reader, to_reader
from anserdb.engine.dataflow.run import QueryRun
from anserdb.engine.errors import InternalError, Interrupted, ModelError
from anserdb.engine.store import Store
from tests.support.runtime import answers, new_run, shouter, stage_of, texts

SCHEMA = pa.schema([("x", pa.int64())])


@pytest.fixture
def run() -> Iterator[QueryRun]:
    with Store.open(None) as store:
        yield new_run(store)


class Numbers:
    """An asynchronous source that counts what it made and tells when it ended."""

    def __init__(self, batches: int | None, error: Exception | None = None) -> None:
        self.made, self.ended = 0, threading.Event()
        self._batches, self._error = batches, error

    async def stream(self) -> AsyncIterator[pa.RecordBatch]:
        try:
            while self._batches is None or self.made < self._batches:
                await asyncio.sleep(0)
                self.made += 1
                yield pa.record_batch({"x": [self.made]}, schema=SCHEMA)
            if self._error is not None:
                raise self._error
            if self._batches == 0:
                await asyncio.Event().wait()
        finally:
            self.ended.set()


class Source:
    """A reader's iterator that counts pulls."""

    def __init__(self, batches: int) -> None:
        self.pulled, self._batches = 0, batches

    def reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(SCHEMA, self._pull())

    def _pull(self) -> Iterator[pa.RecordBatch]:
        for number in range(self._batches):
            self.pulled += 1
            yield pa.record_batch({"x": [number]}, schema=SCHEMA)


async def test_a_reader_is_read_to_its_end_with_its_batches(run: QueryRun) -> None:
    got = [batch.column(0).to_pylist() async for batch in from_reader(Source(5).reader(), run)]
    assert got == [[0], [1], [2], [3], [4]]


async def test_at_most_one_batch_is_read_ahead(run: QueryRun) -> None:
    source = Source(100)
    batches = from_reader(source.reader(), run)
    for taken in range(1, 4):
        await anext(batches)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert source.pulled <= taken + 1
    await batches.aclose()  # type: ignore[attr-defined]


async def test_a_readers_error_comes_through(run: QueryRun) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"x": [1]}, schema=SCHEMA)
        raise ValueError("corrupt")

    with pytest.raises(ValueError, match="corrupt"):
        async for _ in from_reader(pa.RecordBatchReader.from_batches(SCHEMA, broken()), run):
            pass


async def test_an_early_end_frees_duckdbs_connection(run: QueryRun) -> None:
    with duckdb.connect() as connection:
        reader = connection.sql("SELECT range AS x FROM range(1_000_000)").to_arrow_reader(2048)
        async with streams.closing(from_reader(reader, run)) as batches:
            assert (await anext(batches)).num_rows == 2048
        del reader
        assert connection.execute("SELECT 42").fetchall() == [(42,)]


async def test_an_early_end_interrupts_a_read_that_is_under_way(run: QueryRun) -> None:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET streaming_buffer_size = '1KB'")
        # After its first rows it yields none for hours; only the interrupt ends that.
        endless = "SELECT a.range FROM range(100_000_000) a, range(100_000_000) b WHERE a.range + b.range < 0"
        reader = connection.sql(f"SELECT range AS x FROM range(2048) UNION ALL {endless}").to_arrow_reader(2048)
        batches = from_reader(reader, run, connection.interrupt)
        assert (await anext(batches)).num_rows == 2048
        reading = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        del reader
        assert connection.execute("SELECT 42").fetchall() == [(42,)]


def test_what_the_pipeline_makes_duckdb_reads(run: QueryRun) -> None:
    numbers = Numbers(50)
    with duckdb.connect() as connection:
        connection.register("pipe", to_reader(SCHEMA, numbers.stream(), run))
        assert connection.sql("SELECT sum(x), count(*) FROM pipe").fetchall() == [(1275, 50)]
    assert numbers.ended.is_set()
    assert run.error is None


def test_a_slow_reader_slows_the_pipeline(run: QueryRun) -> None:
    numbers = Numbers(None)
    reader = to_reader(SCHEMA, numbers.stream(), run)
    for taken in range(1, 6):
        reader.read_next_batch()
        loop.submit(asyncio.sleep(0.02)).result()
        assert numbers.made <= taken + bridge.BATCHES_AHEAD + 1
    del reader
    gc.collect()
    assert numbers.ended.is_set()


def test_a_limit_ends_an_endless_pipeline(run: QueryRun) -> None:
    numbers = Numbers(None)
    with duckdb.connect() as connection:
        connection.execute("SET streaming_buffer_size = '1KB'")
        connection.register("pipe", to_reader(SCHEMA, numbers.stream(), run))
        assert connection.sql("SELECT x FROM pipe LIMIT 3").fetchall() == [(1,), (2,), (3,)]
        connection.unregister("pipe")
    assert numbers.ended.is_set()


def test_a_reader_that_is_never_read_starts_nothing(run: QueryRun) -> None:
    numbers = Numbers(3)
    reader = to_reader(SCHEMA, numbers.stream(), run)
    del reader
    gc.collect()
    assert numbers.made == 0


def test_an_error_keeps_its_type_on_the_run_while_duckdb_makes_text_of_it(run: QueryRun) -> None:
    error = ModelError("it broke", "m")
    numbers = Numbers(2, error)
    with duckdb.connect() as connection:
        connection.register("pipe", to_reader(SCHEMA, numbers.stream(), run))
        with pytest.raises(duckdb.Error, match="it broke"):
            connection.sql("SELECT sum(x) FROM pipe").fetchall()
    assert run.error is error


def test_cancelling_the_run_wakes_the_thread_that_waits(run: QueryRun) -> None:
    numbers, reason = Numbers(0), Interrupted("enough")
    reader = to_reader(SCHEMA, numbers.stream(), run)
    threading.Timer(0.05, run.cancel, [reason]).start()
    with pytest.raises(Interrupted, match="enough"):
        reader.read_next_batch()
    assert run.error is reason
    assert numbers.ended.is_set()


def test_a_run_cancelled_before_it_was_read_raises_its_reason(run: QueryRun) -> None:
    numbers, reason = Numbers(3), Interrupted("too late")
    run.cancel(reason)
    run.cancel(Interrupted("another reason"))
    with pytest.raises(Interrupted, match="too late"):
        to_reader(SCHEMA, numbers.stream(), run).read_next_batch()
    assert run.error is reason


def test_callbacks_of_a_cancelled_run_are_called_once_and_can_be_withdrawn(run: QueryRun) -> None:
    called: list[int] = []
    run.on_cancel(lambda: called.append(1))
    run.on_cancel(lambda: called.append(2))()
    run.cancel(Interrupted("x"))
    run.cancel(Interrupted("x"))
    run.on_cancel(lambda: called.append(3))
    assert called == [1, 3]


def test_reading_on_the_loops_own_thread_is_refused(run: QueryRun) -> None:
    reader = to_reader(SCHEMA, Numbers(3).stream(), run)

    async def read() -> None:
        reader.read_next_batch()

    with pytest.raises(InternalError, match="own thread"):
        loop.submit(read()).result()


def test_two_pipelines_feed_each_other_through_duckdb(run: QueryRun) -> None:
    with duckdb.connect() as lower, duckdb.connect() as upper:
        lower.register("pipe", to_reader(SCHEMA, Numbers(200).stream(), run))
        middle = lower.sql("SELECT x * 2 AS x FROM pipe").to_arrow_reader(64)
        upper.register("pipe", to_reader(SCHEMA, from_reader(middle, run), run))
        assert upper.sql("SELECT sum(x) FROM pipe").fetchall() == [(40200,)]


async def test_operators_run_between_two_readers(run: QueryRun) -> None:
    stage = stage_of(run, shouter())
    assert await answers(texts(["a", "b"]), stage, run) == ["A", "B"]
