"""Several calls as one operator: books, failures, budgets and early ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from anserdb.engine.dataflow.run import QueryRun
from anserdb.engine.errors import BudgetExceeded, DataError, ModelError, ModelUnavailable, OperationalError
from anserdb.engine.physical.operators.conjunction import Conjunct, run_conjunction
from anserdb.engine.plan.conjuncts import as_written
from anserdb.engine.store import Store
from anserdb.engine.types import BOOLEAN
from anserdb.udfs.models.base import Generate, Reply
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.spec import Ask
from tests.support.runtime import new_run, stage_of, stream

ROWS = 400
SITES = ("1:EVEN", "2:TENTH")


class Says:
    """A task that asks ``word`` of a row; TRUE is ``yes``."""

    def __init__(self, word: str) -> None:
        self._word = word

    async def prepare(self, ask: Ask) -> None:
        """Nothing."""

    def preparation(self) -> Sequence[Generate]:
        return []

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        if row[0] == "broken":
            raise DataError("nothing can be asked about it")
        return [Generate(self._word, f"{self._word} {row[0]}", max_tokens=1)]

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        return await ask(self.requests(row)[0], says_yes)

    def notes(self) -> Mapping[str, str]:
        return {}


def says_yes(reply: Reply) -> bool:
    return reply.text == "yes"


def answer(request: Any) -> str:
    word, _, row = request.user.partition(" ")
    number = int(row.split("-")[0])
    return "yes" if number % (2 if word == "even" else 10) == 0 else "no"


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(None) as store:
        yield store


def conjunct(run: QueryRun, model: ScriptedModel) -> Conjunct:
    made = [
        stage_of(run, model, task=Says(word), type=BOOLEAN, site=site)
        for word, site in zip(("even", "tenth"), SITES, strict=True)
    ]
    return Conjunct(tuple(made), pa.schema([("x", pa.string())]))


def table(values: Sequence[str | None]) -> AsyncIterator[pa.RecordBatch]:
    return stream(pa.table({"x": pa.array(values, pa.string())}))


async def kept(run: QueryRun, model: ScriptedModel, values: Sequence[str | None]) -> list[str]:
    batches = run_conjunction(table(values), conjunct(run, model), run, free=False)
    return [x for batch in [b async for b in batches] for x in batch.column("x").to_pylist()]


def numbers() -> list[str]:
    return [str(i) for i in range(ROWS)]


async def test_rows_leave_in_their_order_and_few_are_asked_twice(store: Store) -> None:
    run, model = new_run(store), ScriptedModel([("", answer)])
    assert await kept(run, model, numbers()) == [str(i) for i in range(0, ROWS, 10)]
    # One of ten passes the second question, all of which pass the first: knowing that, it alone is asked of most rows.
    assert len(model.calls) < 1.4 * ROWS
    even, tenth = (run.progress.sites[site] for site in SITES)
    assert even.rows_in + tenth.rows_in == even.asked + tenth.asked == len(model.calls)
    assert even.notes == {}
    assert tenth.notes["order"].startswith("2:TENTH, 1:EVEN since row ")


async def test_a_row_with_a_null_is_dropped_unasked_and_equal_rows_are_asked_once(store: Store) -> None:
    run, model = new_run(store), ScriptedModel([("", answer)])
    found = await kept(run, model, [None, "10", "3", "10", None, "20"] * 30)
    assert found == ["10", "10", "20"] * 30
    asked = Counter(request.user for request in model.calls if isinstance(request, Generate))
    assert set(asked.values()) == {1}
    assert [run.progress.sites[site].rows_null for site in SITES] == [60, 60]


async def test_a_failed_answer_is_null_and_in_the_books_of_its_site(store: Store) -> None:
    run = new_run(store)
    model = ScriptedModel([("tenth .*0$", ModelError("not this one", "m")), ("", answer)])
    assert await kept(run, model, numbers()) == []
    even, tenth = (run.progress.sites[site] for site in SITES)
    assert even.failed == 0
    assert 0 < tenth.failed <= ROWS // 10
    assert store.query("errors").column("call_site").to_pylist() == ["2:TENTH"] * tenth.failed


async def test_a_row_of_which_nothing_can_be_asked_fails_alone(store: Store) -> None:
    run, model = new_run(store), ScriptedModel([("", answer)])
    assert await kept(run, model, ["broken", "10", "11", "broken", "20"]) == ["10", "20"]
    assert store.query("errors").num_rows == sum(site.failed for site in run.progress.sites.values()) == 2


async def test_too_many_failures_of_one_site_end_the_query(store: Store) -> None:
    run = new_run(store, llm_max_error_ratio=0.05)
    model = ScriptedModel([("tenth .*0$", ModelError("not this one", "m")), ("", answer)])
    with pytest.raises(OperationalError, match=r"2:TENTH: .* rows failed"):
        await kept(run, model, numbers())
    assert model.in_flight == 0


async def test_a_budget_ends_it(store: Store) -> None:
    run, model = new_run(store, llm_max_calls=50), ScriptedModel([("", answer)])
    with pytest.raises(BudgetExceeded):
        await kept(run, model, numbers())
    assert len(model.calls) <= 50


async def test_nobody_there_ends_it_soon(store: Store) -> None:
    run = new_run(store, llm_max_retries=0)
    model = ScriptedModel([("", ModelUnavailable("nobody", "m"))])
    with pytest.raises(ModelUnavailable):
        await kept(run, model, numbers())
    assert len(model.calls) < 60


async def test_an_early_end_leaves_nothing_behind(store: Store) -> None:
    hold = asyncio.Event()

    async def slow(request: Any) -> None:
        if "30" in request.user:
            await hold.wait()

    run, model = new_run(store), ScriptedModel([("", answer)], delay=slow)
    before = asyncio.all_tasks()
    batches = run_conjunction(table(numbers()), conjunct(run, model), run, free=False)
    await anext(batches)
    await batches.aclose()  # type: ignore[attr-defined]
    assert model.in_flight == 0
    assert not {task for task in asyncio.all_tasks() - before if "conjunct" in repr(task)}


def test_sites_are_in_the_order_of_the_text(store: Store) -> None:
    run, model = new_run(store), ScriptedModel([("", answer)])
    made = [stage_of(run, model, site=f"{n}:X").call for n in (10, 2, 1)]
    assert [call.site for call in as_written(made)] == ["1:X", "2:X", "10:X"]
