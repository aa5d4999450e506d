"""``llm_on_budget = 'partial'``: when a cap is reached, the rows done so far are the result, and a notice says what is missing.

Only rows that stand for themselves may be left out. A count, a join, a table being written or the best ten of an ORDER BY
would be wrong without the rest, and an error is better than a wrong number.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import pyarrow as pa

from ..dataflow import streams
from ..dataflow.bridge import from_reader
from ..dataflow.budget import amount
from ..dataflow.progress import SiteProgress
from ..dataflow.run import QueryRun
from ..errors import BudgetExceeded
from ..plan.nodes import Call, Input, Plan, Relation, Sort, Source, Unnest
from ..plan.walk import children, walk
from .counted_reader import CountedReader
from .slices import sliced

Batches = AsyncIterator[pa.RecordBatch]
CUT = re.compile(r"\b(?:LIMIT|OFFSET|FETCH)\b", re.IGNORECASE)


class Partial:
    """What a query does when its budget is used up.

    Parameters
    ----------
    run : the query. plan : what it reads at the top; ``None``: part of a plan, which has to be whole.
    """

    def __init__(self, run: QueryRun, plan: Relation | None) -> None:
        self._run, self._plan = run, plan
        wanted = plan is not None and run.settings.llm_on_budget == "partial" and run.budget.capped
        reason = needs_all_rows(plan) if plan is not None and wanted else ""
        self._on = wanted and not reason
        self._lowest: SiteProgress | None = None
        self._source: CountedReader | None = None
        self._rows = 0
        if reason:
            run.budget.hint = f" llm_on_budget = 'partial' does not apply here: {reason}."

    @property
    def on(self) -> bool:
        """Whether rows may be left out."""
        return self._on

    def source(self, reader: CountedReader, interrupt: Callable[[], object]) -> Batches:
        """The rows at the bottom; those that nobody takes any more are counted all the same."""
        if not self._on:
            return from_reader(reader, self._run, interrupt)
        self._source, reader.rest = reader, self._wants_rest  # what was read before is in memory, whole, for this one

        def stop() -> None:
            if self._run.cancelled or self._run.budget.exceeded is None:
                interrupt()

        return from_reader(reader, self._run, stop)

    def below(self, batches: Batches, site: SiteProgress, *, lowest: bool) -> Batches:
        """What a call reads: row by row, so that it ends behind the very last row that was paid for."""
        if not self._on:
            return batches
        if lowest:
            self._lowest = site
        return _one_by_one(batches)

    def result(self, batches: Batches) -> Batches:
        """What the query gives."""
        return self._until_spent(batches) if self._on else batches

    async def _until_spent(self, batches: Batches) -> Batches:
        try:
            async with streams.closing(batches):
                async for batch in batches:
                    self._rows += batch.num_rows
                    yield batch
        except BudgetExceeded as refusal:
            self._run.notice(self._notice(refusal))

    def _wants_rest(self) -> bool:
        limited = self._plan is not None and self._plan.limit is not None
        return self._run.budget.exceeded is not None and not self._run.cancelled and not limited

    def _notice(self, refusal: BudgetExceeded) -> str:
        spent = amount(refusal.setting, refusal.spent)
        return (
            f"This is a part of the result: {refusal.setting} = {refusal.limit:.12g} is reached, {spent} spent. "
            f"{self._missing()} Answers are kept: raise the cap and run the query again to go on."
        )

    def _missing(self) -> str:
        if self._plan is not None and self._plan.limit is not None:
            return f"{max(0, self._plan.limit - self._rows):,} rows of its LIMIT may be missing."
        done = self._lowest.rows_done if self._lowest else 0
        read = self._source.rows if self._source else 0
        above = {n: s for n, s in self._run.progress.sites.items() if s is not self._lowest and not s.arm}
        waiting = {name: max(0, site.rows_in - site.rows_done) for name, site in above.items()}
        parts = sum(waiting.pop(name, 0) for name in _asked_of_parts(self._plan))
        missing, about = read - done + sum(waiting.values()), "at least " if above else ""
        rows = f"{missing:,} of {read:,} input rows" + (f" and {parts:,} parts of others" if parts else "")
        return f"{about}{rows} are missing, for want of answers.".capitalize()


def needs_all_rows(plan: Relation) -> str:
    """Why a plan is nothing without all of its rows; "": each row of its result stands for itself."""
    if plan.session or plan.embedded:
        return "the statement runs on your connection, over all answers"
    if not plan.rowwise:
        return "the query computes with many rows at once (GROUP BY, DISTINCT, a window function)"
    if plan.order_by is not None and CUT.search(plan.sql) and not _sorted_below(plan):
        return "which rows come first is known when all are answered"
    return "a part of it needs all of its rows" if any(_closed(item) for item in plan.inputs) else ""


def _sorted_below(plan: Relation) -> bool:
    return any(isinstance(node, Sort) and node.keys == plan.order_by for node in _path(plan.inputs[0].plan))


def _closed(item: Input) -> bool:
    """Whether calls stand below a text of DuckDB's, which reads all of their rows first."""
    leaf = _path(item.plan)[-1]
    below = [node for plan in children(leaf) for node in walk(plan)]
    return any(isinstance(node, Call) or (isinstance(node, Relation) and node.embedded) for node in below)


def _path(plan: Plan) -> list[Plan]:
    """From a node down to the source or relation at its bottom."""
    found = [plan]
    while not isinstance(found[-1], Source | Relation):
        found.append(found[-1].input)
    return found


def _asked_of_parts(plan: Relation | None) -> list[str]:
    """The sites of calls above a list that became rows: what waits there is no input row."""
    path = _path(plan.inputs[0].plan) if plan is not None and plan.inputs else []
    lists = [index for index, node in enumerate(path) if isinstance(node, Unnest)]
    return [node.call.site for node in path[: lists[-1] if lists else 0] if isinstance(node, Call)]


async def _one_by_one(batches: Batches) -> Batches:
    async with streams.closing(batches):
        async for batch in batches:
            for row in range(batch.num_rows):
                yield sliced(batch, row, 1)
