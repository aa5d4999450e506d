"""The operator around the call: whatever the batches, rows come back as they came, and only their asking was in another order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.dataflow import streams
from anserdb.engine.physical.arranged import Arranged
from anserdb.engine.physical.operators.gather import FIRST_ROWS, MOST_BYTES, MOST_ROWS, Gatherer
from anserdb.engine.physical.operators.reorder import Prefixes, run_looked_at, run_reordered
from anserdb.engine.physical.prefix_order import Grant
from anserdb.engine.plan.nodes import Column, SemanticCall
from anserdb.udfs.models.base import Generate
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.prompts.inputs import fields
from anserdb.udfs.spec import Unprepared

Batches = AsyncIterator[pa.RecordBatch]
SCHEMA = pa.schema(
    [("id", pa.int64()), ("product", pa.string()), ("review", pa.string()), ("tags", pa.list_(pa.int64()))]
)
CALL = SemanticCall(
    site="1:LLM_FILTER",
    function="LLM_FILTER",
    constants=(),
    arguments=("review", "product"),
    argument_types=("VARCHAR", "VARCHAR"),
    argument_texts=("review", "product"),
    options={},
    guard=None,
    output=Column("__s1", "BOOLEAN", "it fits"),
    rows_by_prefix=True,
)


class Fits(Unprepared):
    """A task with two inputs in its prompt, and a literal behind them."""

    async def run(self, row: Sequence[Any], ask: Any) -> Any:
        raise AssertionError("nothing is asked here")

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        return [
            Generate("Answer Yes or No.", "Does it fit?\n\n" + fields(("review", "product", "rule"), (*row, "r" * 80)))
        ]

    def notes(self) -> Mapping[str, str]:
        return {}


def prefixes(*, minimum: int = 0, arranged: bool = True) -> tuple[Prefixes, Arranged]:
    model = Arranged(ScriptedModel())
    how = Prefixes(CALL, Fits(), lanes=2, grant=Grant(16, minimum), arranged=model if arranged else None, notes={})
    return how, model


def batch_of(numbers: Sequence[int], products: int = 5) -> pa.RecordBatch:
    """Rows in an order in which neighbours are of different products; every seventh has no review."""
    rows = [
        {
            "id": n,
            "product": f"about {n % products} " + "p" * 200,
            "review": None if n % 7 == 6 else f"review {n}",
            "tags": [n, n],
        }
        for n in numbers
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


async def stream(sizes: Sequence[int], closed: list[str]) -> Batches:
    try:
        start = 0
        for size in sizes:
            yield batch_of(range(start, start + size))
            start += size
    finally:
        closed.append("source")


def asking(asked: list[int], dice: Random) -> Any:
    """An operator that adds a column and cuts batches as it likes."""

    async def ask(batches: Batches) -> Batches:
        async with streams.closing(batches):
            async for batch in batches:
                start = 0
                while start < batch.num_rows:
                    part = batch.slice(start, dice.randint(1, 9))
                    start += part.num_rows
                    asked.extend(part.column("id").to_pylist())
                    yield part.append_column("twice", pa.array([2 * n for n in part.column("id").to_pylist()]))

    return ask


async def reordered(sizes: Sequence[int], seed: int = 0) -> tuple[list[dict[str, Any]], list[int], list[str]]:
    asked: list[int] = []
    closed: list[str] = []
    chosen, _ = prefixes()
    batches = run_looked_at(stream(sizes, closed), chosen)
    found = [row async for b in run_reordered(batches, asking(asked, Random(seed)), chosen) for row in b.to_pylist()]
    return found, asked, closed


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_rows_come_back_in_their_order_each_asked_once(sizes: list[int], seed: int) -> None:
    rows, asked, closed = asyncio.run(reordered(sizes, seed))
    expected = batch_of(range(sum(sizes))).to_pylist()
    assert rows == [{**row, "twice": 2 * row["id"]} for row in expected]
    assert sorted(asked) == list(range(sum(sizes)))
    assert closed == ["source"]


async def test_the_first_rows_leave_at_once_and_later_ones_by_what_they_share() -> None:
    _, asked, _ = await reordered([200])
    assert sorted(asked[:FIRST_ROWS]) == list(range(FIRST_ROWS))
    late = asked[-100:]
    alike = sum(a % 5 == b % 5 for a, b in zip(late, late[2:], strict=False))
    assert alike > 80  # two lanes; in the table's order there are none


async def test_rows_that_share_nothing_are_left_alone() -> None:
    asked: list[int] = []
    chosen, _ = prefixes(minimum=1024, arranged=False)
    batches = run_looked_at(stream([100], []), chosen)
    async for _ in run_reordered(batches, asking(asked, Random(1)), chosen):
        pass
    assert asked == list(range(100))


async def test_inputs_that_rows_share_come_first_if_asked_for() -> None:
    chosen, model = prefixes()
    _, untouched = prefixes(arranged=False)
    async for _ in run_looked_at(stream([50], []), chosen):
        pass
    assert model.order == (2, 1, 0)  # the literal, the product, the review
    await model.call(Fits().requests(["Fine.\nRule: none", "kettle"])[0])
    inner: Any = model._model
    assert inner.calls[0].user == f"Does it fit?\n\nRule: {'r' * 80}\nProduct: kettle\nReview: Fine.\n  Rule: none"
    assert untouched.order is None
    assert model.identity != inner.identity


async def test_what_comes_in_time_is_put_together_and_a_slow_source_is_not_waited_for() -> None:
    more = asyncio.Event()

    async def slow() -> Batches:
        yield batch_of(range(FIRST_ROWS))
        yield batch_of(range(4))
        yield batch_of(range(4))
        await more.wait()
        yield batch_of(range(4))

    chunks = Gatherer(slow()).chunks()
    assert [(await anext(chunks)).num_rows, (await anext(chunks)).num_rows] == [8, 8]
    more.set()
    assert [chunk.num_rows async for chunk in chunks] == [4]


async def test_chunks_grow_and_are_bounded_in_rows_and_bytes() -> None:
    async def many() -> Batches:
        for _ in range(30):
            yield pa.RecordBatch.from_pydict({"x": pa.array(range(2048))})

    sizes = [chunk.num_rows async for chunk in Gatherer(many()).chunks()]
    assert sizes[:4] == [8, 16, 32, 64]
    assert all(after <= 2 * before for before, after in pairwise(sizes))
    assert max(sizes) == MOST_ROWS

    async def large() -> Batches:
        for _ in range(4):
            yield pa.RecordBatch.from_pydict({"x": pa.array(["x" * (MOST_BYTES // 64)] * 64)})

    assert max([chunk.num_rows async for chunk in Gatherer(large()).chunks()]) <= 64


async def test_rows_before_a_failure_come_first() -> None:
    async def failing() -> Batches:
        yield batch_of(range(20))
        raise ValueError("the source broke")

    chosen, _ = prefixes()
    found: list[int] = []
    with pytest.raises(ValueError, match="the source broke"):
        async for batch in run_reordered(failing(), asking([], Random(2)), chosen):
            found += batch.column("id").to_pylist()
    assert found == list(range(20))


async def test_ending_early_ends_the_source() -> None:
    closed: list[str] = []
    chosen, _ = prefixes()
    results = run_reordered(stream([4] * 10, closed), asking([], Random(3)), chosen)
    async for _ in results:
        break
    await streams.close(results)
    assert closed == ["source"]
