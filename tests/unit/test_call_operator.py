"""The call operator: NULLs, guards, order, sharing, errors, windows, endings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pyarrow as pa
import pytest

from anserdb.engine.dataflow.demand import Demand
from anserdb.engine.errors import (
    BudgetExceeded,
    DataError,
    Interrupted,
    InvalidAnswer,
    ModelError,
    ModelUnavailable,
    OperationalError,
)
from anserdb.engine.physical.operators import call as operator
from anserdb.engine.physical.operators.call import run_call
from anserdb.engine.physical.operators.questions import weigh
from anserdb.engine.store import Store
from anserdb.engine.types import parse_type
from anserdb.udfs.models.base import Generate, Request
from tests.support.runtime import Shout, answers, new_run, shouter, stage_of, strangers, stream, texts, until


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(None) as opened:
        yield opened


async def test_nulls_and_guards_are_null_without_a_call(store: Store) -> None:
    table = pa.table({
        "x": ["a", None, "c", "d", "e"],
        "y": ["1", "2", None, "4", "5"],
        "g": pa.array([True, True, True, False, None]),
    })  # fmt: skip
    run, model = new_run(store), shouter()
    stage = stage_of(run, model, columns=("x", "y"), guard="g")
    assert await answers(table, stage, run) == ["A|1", None, None, None, None]
    progress = stage.caller.progress
    assert (progress.rows_in, progress.rows_done, progress.rows_null, progress.calls) == (5, 5, 4, 1)


async def test_the_output_field_is_announced(store: Store) -> None:
    run = new_run(store)
    stage = stage_of(run, shouter(), on_error="details")
    (batch,) = [b async for b in run_call(stream(texts(["a"])), stage, run)]
    assert batch.schema.field("__s1") == stage.field()


@pytest.mark.parametrize("distinct", [True, False])
async def test_ten_thousand_rows_of_fifty_texts_are_fifty_calls(store: Store, distinct: bool) -> None:
    run, model = new_run(store), shouter()
    values = [f"text {i % 50}" for i in range(10_000)]
    stage = stage_of(run, model, distinct=distinct)
    assert await answers(texts(values), stage, run, rows_per_batch=2048) == [v.upper() for v in values]
    assert len(model.calls) == 50
    if distinct:
        assert (stage.caller.progress.asked, stage.caller.progress.shared) == (50, 0)


async def test_order_is_kept_whatever_answers_first(store: Store) -> None:
    async def late(request: Request) -> None:
        assert isinstance(request, Generate)
        for _ in range(hash(request.user) % 7):
            await asyncio.sleep(0)

    run, values = new_run(store), [str(i) for i in range(500)]
    assert await answers(texts(values), stage_of(run, shouter(delay=late)), run) == values


async def test_prepare_comes_once_before_the_first_question_and_never_without_one(store: Store) -> None:
    task, model = Shout(probe="neutral"), shouter()
    run = new_run(store)
    stage = stage_of(run, model, task=task)
    assert await answers(texts([None] * 20), stage, run) == [None] * 20
    assert task.prepared == 0
    assert stage.caller.progress.notes == {}
    await answers(texts([None, "a", "b"] * 100), stage, run, rows_per_batch=10)
    assert task.prepared == 1
    first = model.calls[0]
    assert isinstance(first, Generate)
    assert first.user == "neutral"
    assert stage.caller.progress.calibration == 1
    assert stage.caller.progress.notes == {"prepared": "1"}


async def test_a_failed_prepare_is_the_failure_of_the_rows_that_waited_for_it(store: Store) -> None:
    failures = [ModelError("busy")]

    async def once(request: Request) -> None:
        if request == Generate("probe", "neutral") and failures:
            raise failures.pop()

    run, task = new_run(store, llm_max_error_ratio=1.0), Shout(probe="neutral")
    stage = stage_of(run, shouter(delay=once), task=task)
    values = [f"a{i}" for i in range(200)]
    found = await answers(texts(values), stage, run)
    waited = found.count(None)
    assert 0 < waited < 200
    assert found == [None] * waited + [v.upper() for v in values[waited:]], "a later row did not try again"
    assert task.prepared == 2
    assert {e["error"] for e in store.query("errors").to_pylist()} == {"busy"}


async def test_a_failed_prepare_under_on_error_fail_names_the_row(store: Store) -> None:
    run = new_run(store)
    stage = stage_of(run, shouter(("neutral", ModelError("busy"))), task=Shout(probe="neutral"), on_error="fail")
    with pytest.raises(ModelError, match="1:SHOUT failed on input 'a': busy"):
        await answers(texts(["a"]), stage, run)


async def test_a_failure_that_is_not_about_the_row_fails_the_query_at_once(store: Store) -> None:
    refused = ModelError("wrong key")
    refused.hopeless = True
    run, model = new_run(store), shouter(("b", refused))
    with pytest.raises(ModelError, match=r"^wrong key$"):
        await answers(texts(["a", "b", "c"]), stage_of(run, model), run)


async def test_a_prepare_that_finds_nobody_fails_the_query(store: Store) -> None:
    run = new_run(store)
    stage = stage_of(run, shouter(("neutral", ModelUnavailable("down"))), task=Shout(probe="neutral"))
    with pytest.raises(ModelUnavailable, match="down"):
        await answers(texts(["a", "b", "c"]), stage, run)


async def test_failed_rows_are_null_with_a_line_in_the_ledger_and_a_notice(store: Store) -> None:
    run, model = new_run(store, "q"), shouter(("bad", ModelError("refused")))
    stage = stage_of(run, model)
    assert await answers(texts(["a", "bad", "b", "bad"]), stage, run) == ["A", None, "B", None]
    errors = store.query("errors", query_id="q").to_pylist()
    assert [(e["call_site"], e["input_preview"], e["error"]) for e in errors] == [("1:SHOUT", "bad", "refused")] * 2
    assert run.notices == ["2 rows failed in 1:SHOUT and are NULL: see llm_errors()"]
    assert stage.caller.progress.failed == 2
    assert len(model.calls) == 2 + 1


async def test_a_second_stream_of_the_same_call_renews_the_notice(store: Store) -> None:
    run = new_run(store)
    stage = stage_of(run, shouter(("bad", ModelError("refused"))))
    await answers(texts(["bad"]), stage, run)
    assert run.notices == ["1 row failed in 1:SHOUT and is NULL: see llm_errors()"]
    await answers(texts(["bad"]), stage, run)
    assert run.notices == ["2 rows failed in 1:SHOUT and are NULL: see llm_errors()"]


async def test_on_error_fail_raises_the_first_failing_rows_error_with_its_input(store: Store) -> None:
    run = new_run(store)
    stage = stage_of(run, shouter(("bad", ModelError("refused", "m"))), on_error="fail")
    with pytest.raises(ModelError, match=r"1:SHOUT failed on input 'bad 1': refused") as error:
        await answers(texts(["a", "bad 1", "bad 2"]), stage, run)
    assert error.value.model == "m"
    assert error.value.message == str(error.value)
    assert not strangers()


async def test_on_error_details_gives_value_and_error(store: Store) -> None:
    run = new_run(store)
    stage = stage_of(run, shouter(("bad", "invalid")), on_error="details")
    assert await answers(texts(["a", "bad", None]), stage, run) == [
        {"value": "A", "error": None},
        {"value": None, "error": "not what was asked for"},
        None,
    ]
    assert run.notices == ["1 row failed in 1:SHOUT: see llm_errors()"]


async def test_too_many_failures_fail_the_query_after_twenty_rows(store: Store) -> None:
    run = new_run(store, llm_max_error_ratio=0.5)
    stage = stage_of(run, shouter(("bad", InvalidAnswer("no"))))
    values = ["bad"] * 15 + [f"good {i}" for i in range(5)] + ["more"] * 1000
    with pytest.raises(OperationalError, match=r"1:SHOUT: 1\d of 2\d rows failed.*llm_max_error_ratio = 0.5"):
        await answers(texts(values), stage, run)


async def test_few_rows_are_judged_at_the_end(store: Store) -> None:
    run = new_run(store, llm_max_error_ratio=0.1)
    stage = stage_of(run, shouter(("bad", InvalidAnswer("no"))))
    with pytest.raises(OperationalError, match=r"1 of 5 rows failed"):
        await answers(texts(["bad", "a", "b", "c", "d"]), stage, run)
    run = new_run(store, llm_max_error_ratio=0.2)
    assert await answers(texts(["bad", "a", "b", "c", "d"]), stage_of(run, shouter(("bad", InvalidAnswer("no")))), run)


async def test_a_full_budget_fails_the_query_and_keeps_the_answers(store: Store) -> None:
    run, model = new_run(store, llm_max_calls=50), shouter()
    got: list[Any] = []

    async def collect() -> None:
        async for batch in run_call(stream(texts(str(i) for i in range(1000))), stage_of(run, model), run):
            got.extend(batch.column("__s1").to_pylist())

    with pytest.raises(BudgetExceeded, match="llm_max_calls = 50"):
        await collect()
    assert got == [str(i) for i in range(len(got))]  # rows before the one that found the budget empty come first
    assert len(model.calls) == 50
    again = new_run(store)
    await answers(texts(str(i) for i in range(1000)), stage_of(again, model), again)
    assert len(model.calls) == 1000


async def test_errors_that_are_no_rows_fail_the_query_at_once(store: Store) -> None:
    gate = asyncio.Event()

    async def hold(request: Request) -> None:
        assert isinstance(request, Generate)
        if request.user == "0":
            await gate.wait()

    class Broken(Shout):
        async def run(self, row: Any, ask: Any) -> Any:
            if row[0] == "3":
                raise Interrupted("stop")
            return await super().run(row, ask)

    run = new_run(store)
    stage = stage_of(run, shouter(delay=hold), task=Broken())
    with pytest.raises(Interrupted):  # although the first row never gets its answer
        await answers(texts(str(i) for i in range(8)), stage, run)
    assert not strangers()


async def test_an_unreachable_model_fails_the_query_instead_of_making_nulls(store: Store) -> None:
    run, model = new_run(store), shouter(("", ModelUnavailable("no connection")))
    with pytest.raises(ModelUnavailable, match="no connection"):
        await answers(texts(str(i) for i in range(10_000)), stage_of(run, model), run)
    assert len(model.calls) < 100


async def test_a_model_that_refuses_everything_in_the_same_words_fails_the_query(store: Store) -> None:
    run, model = new_run(store), shouter(("", ModelError("wrong key")))
    with pytest.raises(ModelError, match="wrong key"):
        await answers(texts(str(i) for i in range(10_000)), stage_of(run, model), run)
    assert len(model.calls) < 100


async def test_a_model_that_is_unreachable_later_makes_nulls(store: Store) -> None:
    run, model = new_run(store), shouter(("^[1-9]$", ModelUnavailable("gone")))
    assert await answers(texts(str(i) for i in range(10)), stage_of(run, model), run) == ["0"] + [None] * 9


async def test_an_aggregate_gets_its_list_without_nulls_and_empty_is_null(store: Store) -> None:
    lists = pa.array([["a", None, "b"], [None], [], None, ["b"]], pa.list_(pa.string()))
    run, model = new_run(store), shouter()
    stage = stage_of(run, model, aggregate=True)
    assert await answers(pa.table({"x": lists}), stage, run) == ["['A', 'B']", None, None, None, "['B']"]
    assert len(model.calls) == 2


async def test_a_call_without_dynamic_arguments_is_one_question(store: Store) -> None:
    run, model = new_run(store), shouter(("", "a haiku"))
    stage = stage_of(run, model, columns=())
    assert await answers(texts(["a", None, "c"]), stage, run) == ["a haiku"] * 3
    assert len(model.calls) == 1


async def test_an_answer_that_does_not_fit_the_type_is_that_rows_error(store: Store) -> None:
    class Number(Shout):
        async def run(self, row: Any, ask: Any) -> Any:
            return int(row[0])

    run = new_run(store)
    stage = stage_of(run, shouter(), task=Number(), type=parse_type("TINYINT"))
    assert await answers(texts(["1", "300", "3"]), stage, run) == [1, None, 3]
    assert "does not fit TINYINT" in store.query("errors").to_pylist()[0]["error"]
    strict = stage_of(run, shouter(), task=Number(), type=parse_type("TINYINT"), on_error="fail")
    with pytest.raises(DataError, match="'300'"):
        await answers(texts(["1", "300", "3"]), strict, run)


async def test_values_that_are_equal_but_not_the_same_are_different_questions(store: Store) -> None:
    run, model = new_run(store), shouter()
    table = pa.table({"x": pa.array([0.0, -0.0, 0.0], pa.float64())})
    assert await answers(table, stage_of(run, model), run) == ["0.0", "-0.0", "0.0"]
    assert len(model.calls) == 2


class Reading:
    """A source that tells how far it was read and whether it was closed."""

    def __init__(self, batches: int, rows: int = 10) -> None:
        self.read, self.closed, self._batches, self._rows = 0, False, batches, rows

    async def __call__(self) -> AsyncIterator[pa.RecordBatch]:
        try:
            for number in range(self._batches):
                self.read += 1
                yield pa.record_batch({"x": [f"{number}-{i}" for i in range(self._rows)]})
        finally:
            self.closed = True


async def test_leaving_early_cancels_everything_and_closes_the_source(store: Store) -> None:
    async def hold(request: Request) -> None:
        assert isinstance(request, Generate)
        if not request.user.startswith("0-"):
            await asyncio.Event().wait()

    run, model, source = new_run(store), shouter(delay=hold), Reading(100)
    batches = run_call(source(), stage_of(run, model), run)
    first = await anext(batches)
    assert first.num_rows == operator.FIRST_ROWS
    await until(lambda: model.in_flight > 10)
    await batches.aclose()  # type: ignore[attr-defined]
    assert (model.in_flight, source.closed) == (0, True)
    assert not strangers()


async def test_a_reader_that_stops_reading_stops_the_calls(store: Store) -> None:
    run, model, source = new_run(store), shouter(concurrency=4), Reading(1000)
    batches = run_call(source(), stage_of(run, model), run)
    await anext(batches)
    for _ in range(200):
        await asyncio.sleep(0.001)
    window = operator.WINDOW_FACTOR * 4
    assert len(model.calls) <= operator.FIRST_ROWS + window + operator.MOST_ROWS
    assert source.read < 100
    await batches.aclose()  # type: ignore[attr-defined]


async def test_the_window_is_bounded_in_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "WINDOW_BYTES", 1000)
    run, gate = new_run(store), asyncio.Event()

    async def hold(request: Request) -> None:
        await gate.wait()

    model, values = shouter(concurrency=1000, delay=hold), [f"{i:0200d}" for i in range(500)]
    result = asyncio.create_task(answers(texts(values), stage_of(run, model), run))
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert 0 < len(model.calls) <= 1000 // 200 + operator.SMALL_ROWS
    gate.set()
    assert await result == values


async def test_one_slow_row_does_not_leave_the_model_idle(store: Store) -> None:
    gate = asyncio.Event()

    async def hold(request: Request) -> None:
        assert isinstance(request, Generate)
        if request.user == "0":
            await gate.wait()

    run, model, values = new_run(store), shouter(concurrency=4, delay=hold), [str(i) for i in range(100)]
    result = asyncio.create_task(answers(texts(values), stage_of(run, model), run))
    await until(lambda: len(model.calls) >= operator.WINDOW_FACTOR * 4)
    gate.set()
    assert await result == values


async def test_a_demand_bounds_the_calls(store: Store) -> None:
    run, model = new_run(store), shouter(concurrency=16)
    demand, found = Demand(10, cap=16), 0
    batches = run_call(stream(texts(str(i) for i in range(5000)), 2048), stage_of(run, model), run, demand)
    async for batch in batches:
        passing = sum(value.endswith("7") for value in batch.column("__s1").to_pylist())
        demand.dropped(batch.num_rows - passing)
        demand.passed(passing)
        found += passing
        if demand.done():
            break
    await batches.aclose()  # type: ignore[attr-defined]
    assert found >= 10
    assert len(model.calls) <= 98 + 16  # the tenth is row 97
    assert model.max_in_flight <= 16


async def test_a_failing_source_fails_the_query_after_the_rows_before_it(store: Store) -> None:
    async def broken() -> AsyncIterator[pa.RecordBatch]:
        yield pa.record_batch({"x": ["a"]})
        raise OSError("disk")

    run = new_run(store)
    batches = run_call(broken(), stage_of(run, shouter()), run)
    assert (await anext(batches)).num_rows == 1
    with pytest.raises(OSError, match="disk"):
        await anext(batches)
    assert not strangers()


async def test_no_rows_is_no_work(store: Store) -> None:
    run, model = new_run(store), shouter()
    assert await answers(texts([]), stage_of(run, model), run) == []
    assert not model.calls


def test_weights_grow_with_values() -> None:
    assert weigh(None) == weigh(1.5) == 32
    assert weigh({"a": "x" * 1000}) > 1000
    assert weigh([0.5] * 384) > 384 * 8
