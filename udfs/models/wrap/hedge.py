"""A second attempt at what takes much longer than the rest: the first answer counts ("hedged requests", Dean and Barroso,
"The Tail at Scale", 2013).

The second waits behind everybody else, so it takes a slot that nobody wants, and its share of all calls is bounded. What was sent
for nothing is counted as such (``sending``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from .. import sending
from ..base import Reply
from .gate import Turn

MOST_AT_ONCE = 10.0
"""Attempts that a model may save up while nothing is slow."""
WHY = "another attempt answered first"

Attempt = Callable[[Turn], Awaitable[Reply]]


class Hedge:
    """Of one opened model.

    Parameters
    ----------
    ratio : second attempts per call, at most.
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._allowance = 0.0

    async def race(self, turn: Turn, enter: Callable[[], Awaitable[Turn]], attempt: Attempt) -> Reply:
        """The answer of the attempt that begins at ``turn``, or of a second one that ``enter`` lets in.

        Raises
        ------
        ModelError : the first attempt's, if both fail.
        """
        self._allowance = min(MOST_AT_ONCE, self._allowance + self._ratio)
        race, slow_s = _Race(), turn.slow_s
        first = race.start(partial(attempt, turn))
        try:
            if not await race.over_within(slow_s) and self._allowance >= 1:
                self._allowance -= 1
                race.start(partial(self._second, enter, attempt))
            return (await race.winner() or first).result()
        finally:
            await race.end()
            if not race.begun(first):  # cancelled in the moment of its start: nobody else gives the turn back
                turn.leave()

    async def _second(self, enter: Callable[[], Awaitable[Turn]], attempt: Attempt) -> Reply:
        try:
            turn = await enter()
        except BaseException:  # nothing was sent
            self._allowance += 1
            raise
        return await attempt(turn)


class _Race:
    """Attempts at one call, each a task of its own."""

    def __init__(self) -> None:
        self._books: dict[asyncio.Task[Reply], sending.Sendings] = {}
        self._begun: set[asyncio.Task[Any] | None] = set()
        self._won: asyncio.Task[Reply] | None = None

    def start(self, work: Callable[[], Awaitable[Reply]]) -> asyncio.Task[Reply]:
        """One more."""
        with sending.attempt() as books:
            task = asyncio.ensure_future(self._run(work))
        self._books[task] = books
        return task

    async def _run(self, work: Callable[[], Awaitable[Reply]]) -> Reply:
        self._begun.add(asyncio.current_task())
        return await work()

    def begun(self, task: asyncio.Task[Reply]) -> bool:
        """Whether it has done anything at all."""
        return task in self._begun

    async def over_within(self, seconds: float | None) -> bool:
        """Whether the first one ends by then; ``None``: whenever."""
        done, _ = await asyncio.wait(self._books, timeout=seconds)
        return bool(done)

    async def winner(self) -> asyncio.Task[Reply] | None:
        """The first that answers; ``None``: all have failed."""
        waiting = set(self._books)
        while waiting and self._won is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            self._won = next((task for task in self._books if task in done and _answered(task)), None)
        return self._won

    async def end(self) -> None:
        """Stop the others, and wait until they have given back what they held."""
        for task, books in self._books.items():
            if self._won is not None and task is not self._won:
                books.discard(WHY)
            task.cancel()
        await asyncio.gather(*self._books, return_exceptions=True)


def _answered(task: asyncio.Task[Reply]) -> bool:
    return not task.cancelled() and task.exception() is None
