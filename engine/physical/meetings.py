"""Points in the order of rows at which all calls of a query have done with the rows before: there armed calls say what they need.

What a call does then depends on rows, and not on whether another call's answers came before its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pyarrow as pa

from ...optimizer.search.loss import LossBudget
from ..dataflow import streams
from ..plan.nodes import Call, Compute, Filter, Keep, Plan, Relation, SemanticCall, Source
from ..plan.walk import calls
from .operators.answers import Rows
from .operators.leaving import InOrder
from .row_batches import Input
from .slices import sliced

Batches = AsyncIterator[pa.RecordBatch]

FIRST = 64
LATER = 1.5
"""After how many rows is met, and how many times as many there are each next time: what is under way drains, which takes time."""


class Meetings:
    """The calls of one query, one above the other, whose rows keep their order.

    Parameters
    ----------
    budget : what they share.
    """

    def __init__(self, budget: Callable[[], LossBudget | None]) -> None:
        self._budget = budget
        self._windows: list[Watched] = []
        self._askers: list[Callable[[], None]] = []
        self._met: asyncio.Event | None = None

    def leaving(self, news: Callable[[], None]) -> Watched:
        """How rows leave a call that takes part; see ``InOrder``."""
        window = Watched(news, self._look)
        self._windows.append(window)
        return window

    def input(self, known: Callable[[], Input], settle: Callable[[], None]) -> Callable[[], Input]:
        """What a call knows of rows to come, while they are held back, too: of those that gather for one prompt, as many go together as
        will be there, and not as many as are. ``settle`` : to be called when that may have changed."""
        self._askers.append(settle)
        below = len(self._windows)  # those who read begin before those whom they read

        def here() -> Input:
            held = self._met is not None and all(window.idle for window in self._windows[below:])
            return "stalled" if held and known() == "open" else known()

        return here

    async def gate(self, batches: Batches) -> Batches:
        """The rows below the lowest call, which wait at the meetings until all calls have done with those before."""
        if (budget := self._budget()) is not None:
            budget.exchange()
        rows, due = 0, FIRST
        async with streams.closing(batches):
            async for batch in batches:
                start = 0
                while start < batch.num_rows:
                    if rows == due:
                        await self._meet()
                        due = following(due)
                    size = min(batch.num_rows - start, due - rows)
                    yield sliced(batch, start, size)
                    start, rows = start + size, rows + size

    async def _meet(self) -> None:
        self._met = asyncio.Event()
        try:
            self._look()
            await self._met.wait()
        finally:
            self._met = None
        if (budget := self._budget()) is not None:
            budget.exchange()

    def _look(self) -> None:
        """Rows are handed up one call at a time, so that none are between two calls that have none."""
        if self._met is None:
            return
        for settle in self._askers:
            settle()
        if all(window.idle for window in self._windows):
            self._met.set()


def following(due: int) -> int:
    """After how many rows is met next.

    >>> following(64), following(1000)
    (128, 1500)
    """
    return max(due + FIRST, int(due * LATER))


class Watched(InOrder):
    """Tells when all its rows have left, and whoever reads them has come back for more."""

    def __init__(self, news: Callable[[], None], idles: Callable[[], None]) -> None:
        super().__init__(news)
        self._idles, self.idle = idles, True

    def rows(self, batch: pa.RecordBatch) -> Rows:
        """See ``InOrder``."""
        self.idle = False
        return super().rows(batch)

    def next(self) -> Rows | None:
        """See ``InOrder``."""
        rows = super().next()
        if rows is None and not self.waiting and not self.idle:
            self.idle = True
            self._idles()
        return rows


def meets(plan: Plan) -> bool:
    """Whether several calls of a plan share what they may lose, and rows go from each to the next as they came.

    Where earlier runs have compared arms on this data, they share at any time: a rerun finds its answers whoever decides first, but not
    if what a call may lose is fixed for a while at less than it had in the end.
    """
    if not isinstance(plan, Relation) or plan.session or plan.embedded or len(plan.inputs) != 1:
        return False
    node, found = plan.inputs[0].plan, calls(plan)
    while isinstance(node, Call | Compute | Filter | Keep):
        if isinstance(node, Call) and not _plain(node.call):
            return False
        node = node.input
    armed = [each.call.arms for each in found if each.call.arms is not None]
    known = any(rows for each in armed for rows, *_ in each.earlier)
    return isinstance(node, Source) and len(armed) > 1 and not known


def _plain(call: SemanticCall) -> bool:
    """Whether it takes rows as they come, and is told of them by nobody else."""
    together = (call.top_k, call.pairs, call.merge, call.truth, call.cascade, call.online)
    return not any(each is not None for each in together) and not (call.rows_by_prefix or call.inputs_by_prefix)
