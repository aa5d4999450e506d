"""Rows in line for the chooser of arms, which lets them wait while a wave of comparisons is under way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ....optimizer.search.assignment import Assignment
from ..rows_to_come import Come, Questions


class Assigns(Protocol):
    """Says whom the next row asks."""

    def assign(self) -> Assignment | None:
        """See :class:`Chooser`."""
        ...


Begins = Callable[[Assignment, Sequence[Any]], None]
"""Told whom a row asks, in the order of rows."""


class Line:
    """First come, first assigned: rows are compared in the order in which they come, in a rerun, too. What is decided before a row
    is assigned is decided by what was known when it came, and not by how many rows have come since.

    Parameters
    ----------
    chooser : whom to ask. questions : counts the rows. begins : see :data:`Begins`.
    """

    def __init__(self, chooser: Assigns, questions: Questions, begins: Begins = lambda *_: None) -> None:
        self._chooser, self._questions, self._begins = chooser, questions, begins
        self._waiting: deque[tuple[asyncio.Future[Assignment], Come, Sequence[Any]]] = deque()
        self._last = Come()

    def place(self, values: Sequence[Any]) -> asyncio.Future[Assignment]:
        """One more row; to be called when it comes, not when its task begins."""
        place: asyncio.Future[Assignment] = asyncio.get_running_loop().create_future()
        self._waiting.append((place, self._questions.one(), values))
        self.move_on()
        return place

    def move_on(self) -> None:
        """The chooser may have decided."""
        while self._waiting:
            place, come, values = self._waiting[0]
            self._questions.reached(come)
            if (assignment := self._chooser.assign()) is None:
                self._questions.reached(self._last)
                return
            self._waiting.popleft()
            self._last = come
            self._begins(assignment, values)
            if not place.cancelled():
                place.set_result(assignment)
