"""The operator of conditions of AND, OR and NOT: which rows leave with which values, books, failures, budgets and early ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.dataflow.demand import Demand
from anserdb.engine.dataflow.run import QueryRun
from anserdb.engine.errors import BudgetExceeded, ModelError, ModelUnavailable, OperationalError
from anserdb.engine.physical.operators.condition import Decision, run_condition
from anserdb.engine.plan.nodes import Column
from anserdb.engine.store import Store
from anserdb.engine.types import BOOLEAN, VARCHAR, SqlType, parse_type
from anserdb.optimizer.ordering.adaptive import Tuning
from anserdb.optimizer.ordering.trees import Junction, Leaf, Not, Tree
from anserdb.udfs.models.base import Generate, Reply
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.spec import Ask
from tests.support.runtime import new_run, stage_of, until

ROWS = 300
CALLS = ("a", "b", "c")
SITES = tuple(f"{n}:{name.upper()}" for n, name in enumerate(CALLS, 1))
SAYS = {"y": True, "n": False, "f": None, "-": None}
"""What a letter of a row makes a call say: TRUE, FALSE, a failure, or NULL without being asked."""
A_AND_B_OR_C: Tree = Junction("or", (Junction("and", (Leaf(0), Leaf(1))), Leaf(2)))
Keep = Literal["true", "value"]


class Says:
    """A task that asks which letter a row has for it. ``raw``: the answer is the text, and not whether it is ``y``."""

    def __init__(self, raw: bool = False) -> None:
        self._raw = raw

    async def prepare(self, ask: Ask) -> None:
        """Nothing."""

    def preparation(self) -> Sequence[Generate]:
        return []

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        return [Generate("says", row[0], max_tokens=1)]

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        return await ask(self.requests(row)[0], self._read)

    def notes(self) -> Mapping[str, str]:
        return {}

    def _read(self, reply: Reply) -> Any:
        if not self._raw:
            return reply.text == "y"
        return int(reply.text) if reply.text.isdigit() else reply.text


def answer(request: Any) -> str:
    letter = request.user.rpartition(" ")[2]
    if letter == "f":
        raise ModelError("not this one", "m")
    return str(letter)


@dataclass(frozen=True)
class Asked:
    """A run of the operator: the model, and what is given to it."""

    run: QueryRun
    model: ScriptedModel
    decision: Decision

    async def rows(self, table: pa.Table, **more: Any) -> list[dict[str, Any]]:
        batches = run_condition(stream(table), self.decision, self.run, **{"free": False, **more})
        return [row for batch in [b async for b in batches] for row in batch.to_pylist()]

    def books(self, name: str) -> list[int]:
        return [getattr(self.run.progress.sites[site], name) for site in SITES]


def asked(
    store: Store,
    tree: Tree = A_AND_B_OR_C,
    keep: Keep = "true",
    *,
    types: Sequence[SqlType] = (BOOLEAN, BOOLEAN, BOOLEAN),
    leaves: Sequence[str] = ("__a", "__b", "__c"),
    known: tuple[str, ...] = (),
    delay: Any = None,
    model: ScriptedModel | None = None,
    tuning: Tuning | None = None,
    **chosen: Any,
) -> Asked:
    run, model = new_run(store, **chosen), model or ScriptedModel([("", answer)], delay=delay)
    stages = []
    for name, site, kind in zip(CALLS, SITES, types, strict=True):
        stage = stage_of(run, model, task=Says(kind != BOOLEAN), type=kind, site=site, columns=(name,))
        stages.append(replace(stage, call=replace(stage.call, output=Column(f"__{name}", kind.text, name))))
    schema = pa.schema([("id", pa.int64()), *(stage.field() for stage in stages), ("__unread", pa.bool_())])
    decision = Decision(
        tuple(stages), tuple(leaves), tree, known, keep, schema, duckdb.connect(), tuning or Tuning(first=4)
    )
    return Asked(run, model, decision)


def table(letters: Sequence[str], known: Sequence[bool | None] = ()) -> pa.Table:
    """A row per word, which has a letter for each call; no two rows ask the same."""
    columns = {
        name: [None if word[at] == "-" else f"{name}{number} {word[at]}" for number, word in enumerate(letters)]
        for at, name in enumerate(CALLS)
    }
    given = pa.array(known or [None] * len(letters), pa.bool_())
    return pa.table(
        {"id": range(len(letters)), **{n: pa.array(c, pa.string()) for n, c in columns.items()}, "k": given}
    )


async def stream(rows: pa.Table) -> AsyncIterator[pa.RecordBatch]:
    for batch in rows.to_batches(max_chunksize=64):
        yield batch


def words(seed: int, letters: str, rows: int = ROWS) -> list[str]:
    dice = Random(seed)
    return ["".join(dice.choices(letters, k=3)) for _ in range(rows)]


def value(tree: Tree, said: Mapping[int, bool | None]) -> bool | None:
    """What SQL makes of a condition."""
    match tree:
        case Leaf(place):
            return said[place]
        case Not(part):
            return None if (inner := value(part, said)) is None else not inner
        case Junction(connective, parts):
            ends, values = connective == "or", [value(part, said) for part in parts]
            return ends if ends in values else None if None in values else not ends
    raise AssertionError(tree)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(None) as store:
        yield store


@st.composite
def trees(draw: st.DrawFn, leaves: Sequence[int]) -> Tree:
    """Every leaf once."""
    if len(leaves) == 1:
        tree: Tree = Leaf(leaves[0])
    else:
        cut = draw(st.integers(1, len(leaves) - 1))
        parts = draw(trees(leaves[:cut])), draw(trees(leaves[cut:]))
        tree = Junction(draw(st.sampled_from(["and", "or"])), parts)
    return Not(tree) if draw(st.booleans()) else tree


@given(
    st.permutations(range(4)).flatmap(trees),
    st.sampled_from(["true", "value"]),
    st.booleans(),
    st.integers(0, 1000),
    st.sampled_from(["yn", "yn-", "ynf", "yn-f"]),
)
@settings(max_examples=12, deadline=None)
def test_rows_and_values_are_those_of_the_condition(
    tree: Tree, keep: Keep, free: bool, seed: int, letters: str
) -> None:
    said, dice = words(seed, letters, 60), Random(seed)
    known = [dice.choice([True, False, None]) for _ in said]
    with Store.open(None) as store:
        one = asked(store, tree, keep, known=("k",))
        found = asyncio.run(one.rows(table(said, known), free=free))
        failures = Counter(store.query("errors").column("call_site").to_pylist())
    truth = [
        value(tree, {**{at: SAYS[letter] for at, letter in enumerate(word)}, 3: k})
        for word, k in zip(said, known, strict=True)
    ]
    wanted = [row for row, is_true in enumerate(truth) if keep == "value" or is_true]
    ids = [row["id"] for row in found]
    assert (sorted(ids) if free else ids) == wanted
    # Who reads the answers again, not asked ones being NULL, sees the same.
    for row in found:
        answers = {at: row[f"__{name}"] for at, name in enumerate(CALLS)} | {3: known[row["id"]]}
        again = value(tree, answers)
        assert again == truth[row["id"]] if keep == "value" else again
        assert row["__unread"] is None
    assert one.books("rows_in") == one.books("rows_done")
    assert sum(one.books("asked")) == len(one.model.calls)
    assert Counter({s: n for s, n in zip(SITES, one.books("failed"), strict=True) if n}) == failures
    with pytest.raises(duckdb.Error):
        one.decision.connection.execute("SELECT 1")


async def test_a_row_is_asked_no_more_once_its_value_is_known(store: Store) -> None:
    # One of ten says TRUE to c, and then nothing else matters; a says TRUE to hardly any, and then b does not matter.
    said = [("y" if n % 20 == 0 else "n") + "y" + ("y" if n % 10 == 0 else "n") for n in range(ROWS)]
    one = asked(store)
    found = await one.rows(table(said))
    assert [row["id"] for row in found] == list(range(0, ROWS, 10))
    assert len(one.model.calls) < 2.2 * ROWS
    asked_of = one.books("rows_in")
    assert asked_of[1] < 0.3 * ROWS
    assert "since row" in one.run.progress.sites[SITES[-1]].notes["order"]


async def test_equal_rows_are_asked_once_and_what_nulls_decide_is_asked_nothing(store: Store) -> None:
    one = asked(store, Junction("and", (Leaf(0), Leaf(1), Leaf(2))))
    once = table(["yyy", "-yy", "nyy", "y-n"])
    found = await one.rows(pa.concat_tables([once] * 40))
    assert [row["id"] for row in found] == [0] * 40
    assert set(Counter(r.user for r in one.model.calls if isinstance(r, Generate)).values()) == {1}
    assert {r.user[1] for r in one.model.calls if isinstance(r, Generate)} <= {"0", "2"}
    assert sum(one.books("inputs")) == len(one.model.calls) <= 6


async def test_an_answer_is_read_as_the_leaf_reads_it(store: Store) -> None:
    number = parse_type("INTEGER")
    one = asked(
        store, types=(VARCHAR, number, BOOLEAN), leaves=("__a <> 'n'", "__b BETWEEN 3 AND 8", "__c"), keep="value"
    )
    found = await one.rows(table(["x4n", "n4n", "x9n", "xzn", "x3y"] * 3))
    truth = [value(A_AND_B_OR_C, {0: a != "n", 1: None if b == "z" else 3 <= int(b) <= 8, 2: c == "y"})
             for a, b, c in ["x4n", "n4n", "x9n", "xzn", "x3y"] * 3]  # fmt: skip
    again = [
        value(
            A_AND_B_OR_C,
            {
                0: None if row["__a"] is None else row["__a"] != "n",
                1: None if row["__b"] is None else 3 <= row["__b"] <= 8,
                2: row["__c"],
            },
        )
        for row in found
    ]
    assert again == truth
    # What is no number is NULL to the condition, and a failure of its call.
    assert set(store.query("errors").column("call_site").to_pylist()) <= {SITES[1]}
    assert one.books("failed")[1] == 3


async def test_too_many_failures_of_one_call_end_the_query(store: Store) -> None:
    one = asked(store, llm_max_error_ratio=0.05)
    with pytest.raises(OperationalError, match=r"2:B: .* rows failed"):
        await one.rows(table(["yfn" if n % 2 else "yyn" for n in range(ROWS)]))
    assert one.model.in_flight == 0


async def test_a_budget_ends_it(store: Store) -> None:
    one = asked(store, keep="value", llm_max_calls=50)
    with pytest.raises(BudgetExceeded):
        await one.rows(table(words(1, "yn")))
    assert len(one.model.calls) <= 50
    assert one.model.in_flight == 0


async def test_nobody_there_ends_it_soon(store: Store) -> None:
    one = asked(store, model=ScriptedModel([("", ModelUnavailable("nobody", "m"))]), llm_max_retries=0)
    with pytest.raises(ModelUnavailable):
        await one.rows(table(words(1, "yn")))
    assert len(one.model.calls) < 60


async def test_an_early_end_leaves_nothing_running(store: Store) -> None:
    hold = asyncio.Event()

    async def slow(request: Any) -> None:
        if "30 " in request.user:
            await hold.wait()

    one, before = asked(store, keep="value", delay=slow), asyncio.all_tasks()
    batches = run_condition(stream(table(words(1, "yn"))), one.decision, one.run, free=False)
    await anext(batches)
    await until(lambda: one.model.in_flight > 0)
    await batches.aclose()  # type: ignore[attr-defined]
    assert one.model.in_flight == 0
    assert asyncio.all_tasks() == before
    with pytest.raises(duckdb.Error):
        one.decision.connection.execute("SELECT 1")


async def test_a_limit_is_told_of_rows_that_are_dropped(store: Store) -> None:
    one, limit = asked(store, Junction("and", (Leaf(0), Leaf(1), Leaf(2)))), Demand(3, cap=16)
    said = ["yyy" if n % 10 == 0 else "nyy" for n in range(ROWS)]
    batches = run_condition(stream(table(said)), one.decision, one.run, free=False, demand=limit, wanted=limit)
    found: list[int] = []
    async for batch in batches:
        limit.passed(batch.num_rows)
        found += batch.column("id").to_pylist()
    assert found[:3] == [0, 10, 20]
    assert limit.done()
    assert 21 <= limit.processed <= limit.started <= 21 + 2 * 16
