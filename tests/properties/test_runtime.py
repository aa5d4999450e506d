"""The runtime against a dumb reference: one row after another, a dictionary for a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.dataflow import flights
from anserdb.engine.dataflow.demand import Demand
from anserdb.engine.errors import BudgetExceeded, ModelError
from anserdb.engine.physical.operators.call import run_call
from anserdb.engine.store import Store
from anserdb.udfs.models.base import Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.runtime import answers, new_run, shouter, stage_of, strangers, stream

WORDS = ["ant", "bee", "cat", "dog", "fail-a", "fail-b", "invalid", "-0.0", "'", "é"]
ROWS = st.lists(
    st.tuples(
        st.sampled_from([*WORDS, None]), st.sampled_from(["", "x", None]), st.sampled_from([True, True, False, None])
    ),
    max_size=120,
)


@dataclass(frozen=True)
class Case:
    """A table and how it is run."""

    rows: Sequence[tuple[str | None, str | None, bool | None]]
    concurrency: int
    rows_per_batch: int
    distinct: bool
    jitter: int

    @property
    def table(self) -> pa.Table:
        x, y, g = zip(*self.rows, strict=True) if self.rows else ((), (), ())
        return pa.table({"x": pa.array(x, pa.string()), "y": pa.array(y, pa.string()), "g": pa.array(g, pa.bool_())})

    def model(self) -> ScriptedModel:
        async def delay(request: Request) -> None:
            assert isinstance(request, Generate)
            for _ in range(hash((request.user, self.jitter)) % 5):
                await asyncio.sleep(0)

        rules = (("fail-(.*)", ModelError("refused", "scripted")), ("invalid", "invalid"))
        return shouter(*rules, concurrency=self.concurrency, delay=delay)

    async def run(self, store: Store, model: ScriptedModel, **given_settings: Any) -> list[Any]:
        run = new_run(store, **given_settings)
        stage = stage_of(run, model, columns=("x", "y"), guard="g", distinct=self.distinct)
        return await answers(self.table, stage, run, rows_per_batch=self.rows_per_batch)

    def wanted(self) -> set[str]:
        """Distinct questions."""
        return {f"{x}|{y}" for x, y, g in self.rows if x is not None and y is not None and g}

    def expected(self) -> list[str | None]:
        return [self._answer(x, y) if g else None for x, y, g in self.rows]

    def _answer(self, x: str | None, y: str | None) -> str | None:
        if x is None or y is None or x.startswith("fail") or x == "invalid":
            return None
        return f"{x}|{y}".upper()


CASES = st.builds(
    Case,
    rows=ROWS,
    concurrency=st.integers(1, 8),
    rows_per_batch=st.integers(1, 130),
    distinct=st.booleans(),
    jitter=st.integers(0, 3),
)


def good(asked: set[str]) -> set[str]:
    return {question for question in asked if not question.startswith(("fail", "invalid"))}


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_rows_equal_the_sequential_reference_and_calls_the_distinct_questions(case: Case) -> None:
    async def check() -> None:
        with Store.open(None) as store:
            model = case.model()
            assert await case.run(store, model) == case.expected()
            asked = [request.user for request in model.calls if isinstance(request, Generate) and not request.attempt]
            if case.distinct:
                assert sorted(asked) == sorted(case.wanted())
            answered = [question for question in asked if question in good(case.wanted())]
            assert sorted(answered) == sorted(good(case.wanted()))
            # A second run asks only what has no answer.
            before = len(model.calls)
            assert await case.run(store, model) == case.expected()
            again = [request.user for request in model.calls[before:] if isinstance(request, Generate)]
            assert not good(set(again))
            assert not strangers()
            assert not flights._flights

    asyncio.run(check())


@settings(max_examples=30, deadline=None)
@given(CASES, CASES)
def test_two_queries_at_once_make_one_set_of_calls(first: Case, second: Case) -> None:
    async def check() -> None:
        with Store.open(None) as store:
            model = first.model()
            results = await asyncio.gather(first.run(store, model), second.run(store, model))
            assert list(results) == [first.expected(), second.expected()]
            asked = [request.user for request in model.calls if isinstance(request, Generate)]
            answered = [question for question in asked if not question.startswith(("fail", "invalid"))]
            assert sorted(answered) == sorted(good(first.wanted() | second.wanted()))

    asyncio.run(check())


@settings(max_examples=40, deadline=None)
@given(CASES, st.integers(0, 40))
def test_cancellation_leaves_nothing_in_flight_and_loses_no_answer(case: Case, turns: int) -> None:
    async def check() -> None:
        with Store.open(None) as store:
            model = case.model()
            running = asyncio.create_task(case.run(store, model))
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait({running})
            assert model.in_flight == 0
            assert not strangers()
            assert not flights._flights
            kept = store.query("calls").to_pylist()
            paid = sum(call["outcome"] == "ok" for call in kept)
            assert await case.run(store, model) == case.expected()
            total = sum(call["outcome"] == "ok" for call in store.query("calls").to_pylist())
            assert total == len(good(case.wanted()))
            assert paid <= total

    asyncio.run(check())


@settings(max_examples=40, deadline=None)
@given(CASES, st.integers(0, 30))
def test_the_budget_is_never_exceeded_and_what_was_paid_for_counts_next_time(case: Case, cap: int) -> None:
    async def check() -> None:
        with Store.open(None) as store:
            model = case.model()
            (outcome,) = await asyncio.gather(case.run(store, model, llm_max_calls=cap), return_exceptions=True)
            if isinstance(outcome, BudgetExceeded):
                assert (outcome.setting, outcome.limit, len(model.calls)) == ("llm_max_calls", cap, cap)
            else:
                assert outcome == case.expected()
            assert len(model.calls) <= cap
            assert await case.run(store, model) == case.expected()
            asked = [request.user for request in model.calls if isinstance(request, Generate)]
            answered = [question for question in asked if not question.startswith(("fail", "invalid"))]
            assert sorted(answered) == sorted(good(case.wanted()))

    asyncio.run(check())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=300), st.integers(1, 12), st.integers(1, 16))
def test_a_limit_makes_at_most_cap_calls_in_vain(passes: list[bool], limit: int, cap: int) -> None:
    values = [f"{number}{'+' if good_row else '-'}" for number, good_row in enumerate(passes)]

    async def check() -> None:
        with Store.open(None) as store:
            run, model, demand = new_run(store), shouter(concurrency=cap), Demand(limit, cap)
            found: list[str] = []
            batches = run_call(stream(pa.table({"x": values}), 50), stage_of(run, model), run, demand)
            async for batch in batches:
                kept = [value for value in batch.column("__s1").to_pylist() if value.endswith("+")]
                demand.dropped(batch.num_rows - len(kept))
                demand.passed(len(kept))
                found += kept
                if demand.done():
                    break
            await batches.aclose()  # type: ignore[attr-defined]
            expected = [value for value in values if value.endswith("+")]
            assert found[:limit] == expected[:limit]
            needed = values.index(expected[limit - 1]) + 1 if len(expected) >= limit else len(values)
            assert needed <= len(model.calls) <= needed + cap

    asyncio.run(check())
