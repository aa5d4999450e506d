"""Answers of an expression that a model wrote, for rows that ask at the same time: made in a thread, in bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from ..dataflow.worker import Worker
from ..types import SqlType
from .expression_check import ExpressionError
from .expression_sandbox import Sandbox, identifiers

T = TypeVar("T")

MOST_SECONDS = 10.0
"""For a few hundred short rows. An expression that takes longer is not asked again."""
TOO_SLOW = f"It takes longer than {MOST_SECONDS:.0f} seconds."


class ExpressionAnswers:
    """A sandbox, its thread, and the rows that wait for it. Used on the event loop only.

    Parameters
    ----------
    texts, types : of the inputs, the user's words and DuckDB types. answer : type of the answer.

    Attributes
    ----------
    stopped : it took too long, or is closed; it knows nothing from then on.
    """

    def __init__(self, texts: Sequence[str], types: Sequence[SqlType], answer: SqlType) -> None:
        self._texts, self._types, self._answer = tuple(texts), tuple(types), answer
        self._worker = Worker("anserdb-expression")
        self._sandbox: Sandbox | None = None
        self._waiting: list[tuple[Sequence[Any], asyncio.Future[Any]]] = []
        self._running: asyncio.Task[None] | None = None
        self._busy = self.stopped = False

    async def open(self) -> tuple[str, ...]:
        """Make the sandbox; what an expression may call the inputs."""
        names = await self._worker.run(partial(identifiers, self._texts))
        self._sandbox = await self._worker.run(partial(Sandbox, names, self._types, self._answer))
        return names

    async def tried(self, text: str, rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
        """An expression as DuckDB prints it, which is the one from now on, and what it gives for some rows.

        Raises
        ------
        ExpressionError : it cannot be the one.
        """
        sandbox = self._opened()
        return await self._bounded(lambda: (sandbox.take(text), sandbox.answers(rows)))

    async def of(self, values: Sequence[Any]) -> Any:
        """The answer for one row; ``None`` where the expression does not know."""
        if self.stopped:
            return None
        loop = asyncio.get_running_loop()
        place: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((values, place))
        if not self._busy:
            self._busy = True
            # One turn of the loop lets all tasks that are ready add their rows.
            loop.call_soon(self._flush)
        return await place

    async def close(self) -> None:
        """End what is under way."""
        self._stop()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self._sandbox is not None:
            self._worker.run(self._sandbox.close)
        self._worker.stop()

    def _opened(self) -> Sandbox:
        assert self._sandbox is not None  # open() comes first
        return self._sandbox

    async def _bounded(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.wait_for(self._worker.run(work), MOST_SECONDS)
        except TimeoutError:
            self._stop()
            raise ExpressionError(TOO_SLOW) from None

    def _stop(self) -> None:
        self.stopped = True
        if self._sandbox is not None:
            self._sandbox.interrupt()

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        self._busy = bool(batch)
        if batch:
            self._running = asyncio.create_task(self._answered(batch))
            self._running.add_done_callback(lambda _: self._flush())

    async def _answered(self, batch: Sequence[tuple[Sequence[Any], asyncio.Future[Any]]]) -> None:
        found: Sequence[Any] = [None] * len(batch)
        try:
            if not self.stopped:
                found = await self._bounded(partial(self._opened().answers, [values for values, _ in batch]))
        except ExpressionError:
            pass  # too slow: it knows nothing
        finally:
            for (_, place), value in zip(batch, found, strict=True):
                if not place.done():
                    place.set_result(value)
