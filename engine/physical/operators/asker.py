"""How one row of a call site gets its answer: by the task of one stage, alone or in a prompt that rows share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from ....udfs.spec import Ask, Emit, Streams
from ...dataflow.run import QueryRun
from ...errors import ModelUnavailable
from ..row_batches import Input, RowBatcher
from .billed import BilledAsk
from .call_stage import CallStage


class Asker(Protocol):
    """Answers rows."""

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """The answer for a row's arguments, as a coroutine to be a task of its own. ``emit``: told what is heard before."""
        ...

    def settle(self) -> None:
        """Something changed: rows that gather for one prompt may have to go."""
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...


def unheard(items: Sequence[Any]) -> None:
    """The ``emit`` of answers to which nobody listens while they are written."""
    del items


class StageAsker:
    """The asker of one stage. Its preparation is made once, when the first row asks.

    Parameters
    ----------
    stage : who answers. run : the query. input : what is known of rows to come.
    hears : somebody listens to lists while they are written. fatal : told of an error that is everybody's.
    """

    def __init__(
        self,
        stage: CallStage,
        run: QueryRun,
        *,
        input: Callable[[], Input],  # noqa: A002
        hears: bool,
        fatal: Callable[[BaseException], None],
    ) -> None:
        self._stage, self._hears, self._fatal = stage, hears, fatal
        self._caller = BilledAsk(stage.caller, stage.caller.spec)
        self._batcher = RowBatcher(stage.batching, run, input) if stage.batching else None
        self._preparation: asyncio.Task[None] | None = None

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        if self._batcher is None:
            return self._answer(values, emit, self._caller)
        return self._batcher.row(partial(self._answer, values, emit))

    def settle(self) -> None:
        """See :class:`Asker`."""
        if self._batcher is not None:
            self._batcher.settle()

    async def close(self) -> None:
        """See :class:`Asker`."""
        if self._batcher is not None:
            await self._batcher.close()
        if self._preparation is not None:
            self._preparation.cancel()
            await asyncio.gather(self._preparation, return_exceptions=True)

    async def _answer(self, values: Sequence[Any], emit: Emit, ask: Ask) -> Any:
        await self._prepared()
        task = self._stage.task
        # An answer for several rows is none of the lists that the task would hear.
        if self._hears and self._batcher is None and isinstance(task, Streams):
            return await task.stream(values, ask, emit)
        return await task.run(values, ask)

    async def _prepared(self) -> None:
        """Wait for the task's preparation. Its failure is that of the rows waiting for it; later ones try again.

        Only that nobody is there is everybody's: it took many requests to find out.
        """
        if self._preparation is None:
            self._preparation = asyncio.create_task(self._prepare())
        preparation = self._preparation
        try:
            await asyncio.shield(preparation)
        except Exception as error:
            if isinstance(error, ModelUnavailable):
                self._fatal(error)
            if self._preparation is preparation:
                self._preparation = None
            raise

    async def _prepare(self) -> None:
        await self._stage.task.prepare(self._stage.caller.calibrating())
        self._stage.caller.progress.notes.update(self._stage.task.notes())
