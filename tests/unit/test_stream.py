"""``con.stream``: any query over a source that may never end."""

import itertools
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anserdb
from anserdb.engine.errors import DataError, Interrupted, ProgrammingError
from anserdb.udfs.models.scripted import ScriptedModel

ASKS = "SELECT i, LLM_FILTER('Is it good?', t) AS good FROM stream WHERE i % 3 <> 0"


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as connection:
        yield connection


def rows(start: int, stop: int) -> pa.Table:
    return pa.table({"i": range(start, stop), "t": [f"text {i % 50}" for i in range(start, stop)]})


def first(stream: Iterator[pa.RecordBatch], count: int) -> list[int]:
    """The ids of so many rows, read batch by batch."""
    seen: list[int] = []
    while len(seen) < count:
        seen += next(stream)["i"].to_pylist()
    return seen


def listed(batches: Iterator[pa.RecordBatch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


@settings(max_examples=4)
@given(cuts=st.lists(st.integers(0, 60), max_size=4), size=st.integers(1, 70))
def test_rows_are_those_of_the_whole_however_they_come(cuts: list[int], size: int) -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        bounds = [0, *itertools.accumulate(cuts)]
        source = [rows(a, b) for a, b in itertools.pairwise(bounds)]
        whole = rows(0, bounds[-1])
        expected = con.sql(ASKS.replace("stream", "whole"))
        assert whole.num_rows == bounds[-1]
        assert expected is not None
        assert listed(con.stream(ASKS, iter(source), rows=size)) == expected.arrow().to_pylist()


def test_a_reader_is_a_source_and_any_statement_runs(con: anserdb.Connection) -> None:
    reader = rows(0, 10).to_reader(max_chunksize=4)
    con.sql("CREATE TABLE kept (i BIGINT)")
    counts = listed(con.stream("INSERT INTO kept SELECT i FROM mine", reader, name="mine", rows=4))
    assert sum(row["Count"] for row in counts) == 10
    assert con.sql("SELECT sum(i)::BIGINT FROM kept").fetchall() == [(45,)]


def test_an_endless_source_is_read_only_so_far_ahead(con: anserdb.Connection) -> None:
    given = 0

    def endless() -> Iterator[pa.Table]:
        nonlocal given
        while True:
            given += 20
            yield rows(given - 20, given)

    seen, ahead = 0, []
    stream = con.stream(
        "SELECT count(*) AS n, any_value(LLM_FILTER('Is it good?', t)) FROM stream", endless(), rows=100
    )
    for batch in itertools.islice(stream, 15):
        seen += sum(row["n"] for row in batch.to_pylist())
        ahead.append(given - seen)
    stream.close()
    assert seen >= 500
    assert max(ahead) <= 140  # a micro-batch that waits, and the pieces on their way


def test_what_has_come_is_answered_while_the_source_pauses(con: anserdb.Connection) -> None:
    answered = threading.Event()

    def slow() -> Iterator[pa.Table]:
        yield rows(1, 3)
        assert answered.wait(20)
        yield rows(4, 6)

    stream = con.stream(ASKS, slow())
    assert first(stream, 2) == [1, 2]
    answered.set()
    assert [row["i"] for row in listed(stream)] == [4, 5]


def test_an_error_of_the_source_comes_after_the_results_before_it(con: anserdb.Connection) -> None:
    def failing() -> Iterator[pa.Table]:
        yield rows(1, 6)
        raise OSError("the line is dead")

    stream, seen = con.stream(ASKS, failing(), rows=2), []
    with pytest.raises(OSError, match="the line is dead"):
        for batch in stream:
            seen += batch.to_pylist()
    assert [row["i"] for row in seen] == [1, 2, 4, 5]


def test_closing_stops_the_questions_and_closes_the_source() -> None:
    model, closed = ScriptedModel(), threading.Event()

    def endless() -> Iterator[pa.Table]:
        try:
            for start in itertools.count(0, 10):
                yield pa.table({"i": range(start, start + 10), "t": [f"row {i}" for i in range(start, start + 10)]})
        finally:
            closed.set()

    with anserdb.connect(store=":memory:", llm_model="m") as con:
        con.register_model("m", model)
        stream = con.stream(ASKS, endless(), rows=10)
        next(stream)
        stream.close()
        assert closed.wait(20)
        asked = len(model.calls)
        assert asked <= 20
        assert con.sql("SELECT 1").fetchall() == [(1,)]
        assert len(model.calls) == asked


def hanging(release: threading.Event) -> Iterator[pa.Table]:
    yield rows(1, 3)
    release.wait(20)


def test_interrupt_ends_a_stream_whose_source_hangs(con: anserdb.Connection) -> None:
    release = threading.Event()
    stream = con.stream(ASKS, hanging(release))
    first(stream, 2)
    threading.Timer(0.2, con.interrupt).start()
    with pytest.raises(Interrupted):
        next(stream)
    release.set()


def test_ctrl_c_ends_a_stream_whose_source_hangs(con: anserdb.Connection) -> None:
    release = threading.Event()
    stream = con.stream(ASKS, hanging(release))
    first(stream, 2)
    threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    release.set()
    assert list(stream) == []


def test_what_was_asked_is_not_asked_again_in_the_next_micro_batch() -> None:
    model = ScriptedModel()
    with anserdb.connect(store=":memory:", llm_model="m") as con:
        con.register_model("m", model)
        listed(con.stream("SELECT LLM_COMPLETE('Say it', t) FROM stream", iter([rows(0, 200)]), rows=50))
    assert len(model.calls) == 50


def test_streams_that_cannot_be_are_refused_at_once(con: anserdb.Connection) -> None:
    con.sql("CREATE TABLE taken AS SELECT 1 AS i")
    for sql, more in (
        ("SELECT 1", {}),
        ("SELECT i FROM taken", {"name": "taken"}),
        ("SELECT i FROM stream", {"rows": 0}),
        ("SELECT i FROM a.b", {"name": "a.b"}),
    ):
        with pytest.raises(ProgrammingError, match=r"con\.stream|does not read"):
            con.stream(sql, iter([rows(0, 3)]), **more)


@pytest.mark.parametrize("item", [pa.table({"i": ["one"], "t": ["two"]}), [1, 2]])
def test_a_source_that_changes_its_mind_is_told_so(con: anserdb.Connection, item: Any) -> None:
    stream = con.stream("SELECT i FROM stream", iter([rows(0, 2), item]))
    assert first(stream, 2) == [0, 1]
    with pytest.raises(DataError, match=r"one schema|not list"):
        next(stream)
