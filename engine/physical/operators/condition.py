"""The operator of a ``Condition`` node: several calls, of which each row is asked as many as its condition needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Literal

import duckdb
import pyarrow as pa

from ....optimizer.ordering.adaptive import Tuning
from ....optimizer.ordering.branches import Branches
from ....optimizer.ordering.predicate import Answer, Keep
from ....optimizer.ordering.trees import Known, Tree, answered, leaves, renumbered
from ...dataflow import streams
from ...dataflow.demand import Demand
from ...dataflow.run import QueryRun
from ..question_costs import QuestionCosts
from ..row_batches import Input
from .answers import Rows, inputs_of
from .asker import StageAsker
from .call_stage import CallStage
from .conjunct_asker import ConjunctAsker
from .conjunction import seed_of
from .kept import Kept, for_demand
from .leaving import Leaving
from .questions import Question
from .several_calls import SeveralCalls, rows_that_stay

MOST_VALUES = 1 << 16
"""Answers whose comparisons are remembered."""
Values = Sequence[Any]
"""Of a row: the arguments of each call (``None``: it is NULL unasked), then a tuple of the values of leaves known before."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to find out about each row, and what leaves.

    Parameters
    ----------
    stages : of the calls. leaves : per call, the text that reads its answer: a leaf of the condition.
    tree : the condition; leaves are numbered as the calls, then as ``known``. known : columns of leaves known before.
    keep : see ``Condition``. schema : of the rows that leave: columns that came, answers, and what nobody reads.
    connection : a bare one, to compare answers with. tuning : of how their order is learnt.
    """

    stages: tuple[CallStage, ...]
    leaves: tuple[str, ...]
    tree: Tree
    known: tuple[str, ...]
    keep: Literal["true", "value"]
    schema: pa.Schema
    connection: duckdb.DuckDBPyConnection
    tuning: Tuning = field(default_factory=Tuning)


async def run_condition(
    batches: AsyncIterator[pa.RecordBatch],
    decision: Decision,
    run: QueryRun,
    *,
    free: bool,
    demand: Demand | None = None,
    wanted: Demand | None = None,
) -> AsyncIterator[pa.RecordBatch]:
    """Rows in their order; errors as of ``run_call``. ``free`` : nobody needs the rows in any order.
    ``wanted`` : the LIMIT above, told of rows that are dropped. ``demand`` : the same, if no call below takes rows for it."""
    inquiry = _Inquiry(decision, run, for_demand(wanted))
    try:
        async with streams.closing(rows_that_stay(batches, inquiry, free=free, demand=demand)) as kept:
            async for batch in kept:
                yield batch
    finally:
        decision.connection.close()


class _Reading:
    """What is left to find out about a row, and what answers say; see ``conjunct_asker.Reading``."""

    def __init__(self, decision: Decision) -> None:
        self._tree, self._calls = decision.tree, len(decision.stages)
        self._keep: Keep = decision.keep
        self._left = lru_cache(maxsize=MOST_VALUES)(self._left_of)
        self._truths = [_truth_of(decision, place) for place in range(self._calls)]

    def open(self, values: Values) -> tuple[Branches, tuple[int, ...]]:
        """See ``Reading``."""
        left = self.left(values)
        places = tuple(leaves(left))
        return Branches(renumbered(left, {place: number for number, place in enumerate(places)}), self._keep), places

    def left(self, values: Values) -> Tree:
        """What answers have to decide."""
        unasked = tuple(place for place in range(self._calls) if values[place] is None)
        return self._left(unasked, values[-1])

    def truth(self, place: int, question: Question) -> Answer:
        """See ``Reading``."""
        return None if question.error or question.value is None else self._truths[place](question.value)

    def stays(self, values: Values, reached: Mapping[int, Question]) -> bool:
        """Whether a row leaves."""
        said = {place: self.truth(place, question) for place, question in reached.items()}
        return self._keep == "value" or answered(self.left(values), said, self._keep) == Known(True)

    def _left_of(self, unasked: tuple[int, ...], known: tuple[Answer, ...]) -> Tree:
        before = dict.fromkeys(unasked, None) | dict(enumerate(known, self._calls))
        return answered(self._tree, before, self._keep)


class _Inquiry(SeveralCalls):
    """Which answers a row gets; see ``Inquiry``."""

    def __init__(self, decision: Decision, run: QueryRun, kept: Kept | None) -> None:
        super().__init__(decision.stages, run)
        self._decision, self._kept = decision, kept
        self._reading = _Reading(decision)

    def inputs(self, batch: pa.RecordBatch) -> list[Values | None]:
        """Per row the values; ``None``: its condition is decided."""
        return [None if isinstance(self._reading.left(row), Known) else row for row in self._values(batch)]

    def asker(
        self, rows_to_come: Callable[[], Input], *, hears: bool, fatal: Callable[[BaseException], None]
    ) -> ConjunctAsker:
        """Who asks the rows."""
        askers = [StageAsker(s, self._run, input=rows_to_come, hears=hears, fatal=fatal) for s in self._stages]
        costs = QuestionCosts(self._stages).of
        tuning, seed = self._decision.tuning, seed_of(self._stages)
        return ConjunctAsker(self._stages, askers, costs, seed, fatal, self._reading, tuning=tuning)

    def batch(self, rows: Rows, leaving: Leaving) -> pa.RecordBatch:
        """Those that leave, with the answers they got; all are booked, each where it was asked."""
        del leaving
        reached = [_reached(question) for question in rows.questions]
        pairs = zip(self._values(rows.batch), reached, strict=True)
        stays = pa.array([self._reading.stays(values, asked) for values, asked in pairs], pa.bool_())
        made = {s.call.output.name: self._column(place, reached) for place, s in enumerate(self._stages)}
        nothing = pa.nulls(rows.batch.num_rows, pa.bool_())
        given = {name: rows.batch.column(name) for name in rows.batch.schema.names} | made
        columns = [given.get(name, nothing) for name in self._decision.schema.names]
        left = pa.RecordBatch.from_arrays(columns, schema=self._decision.schema).filter(stays)
        if self._kept is not None:
            self._kept(rows.batch, left)
        return left

    def _values(self, batch: pa.RecordBatch) -> list[Values]:
        arguments = [inputs_of(stage.call, batch, aggregate=False) for stage in self._stages]
        known = [batch.column(name).to_pylist() for name in self._decision.known]
        before = zip(*known, strict=True) if known else [()] * batch.num_rows
        return list(zip(*arguments, before, strict=True))

    def _column(self, place: int, reached: Sequence[dict[int, Question]]) -> pa.Array:
        """The answers of one call; NULL where it was not asked."""
        rows = [row for row, asked in enumerate(reached) if place in asked]
        self._stages[place].caller.progress.rows_in += len(rows)
        booked = self._answers[place].booked([reached[row][place] for row in rows])
        numbers = dict(zip(rows, range(len(rows)), strict=True))
        return booked.take(pa.array([numbers.get(row) for row in range(len(reached))], pa.int64()))


def _reached(question: Question | None) -> dict[int, Question]:
    if question is not None and question.error is not None:  # the budget's: a row's own are its calls'
        raise question.error
    return {} if question is None else dict(question.value)


def _truth_of(decision: Decision, place: int) -> Callable[[Any], Answer]:
    """What a leaf says of an answer, in DuckDB's words."""
    output, leaf = decision.stages[place].call.output, decision.leaves[place]
    if leaf == output.name:
        return bool
    sql = f"SELECT {leaf} FROM (SELECT CAST($1 AS {output.type}) AS {output.name})"
    return lru_cache(maxsize=MOST_VALUES)(partial(_compared, decision.connection, sql))


def _compared(connection: duckdb.DuckDBPyConnection, sql: str, value: Any) -> Answer:
    try:
        found = connection.execute(sql, [value]).fetchall()
    except duckdb.Error:  # it does not fit the answer's type, and is NULL: its call says so
        return None
    truth: Answer = found[0][0]
    return truth
