"""Rows in line for the chooser of arms, which lets them wait while a wave of comparisons is under way."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from ....optimizer.search.assignment import Assignment


class Assigns(Protocol):
    """Says whom the next row asks."""

    def assign(self) -> Assignment | None:
        """See :class:`Chooser`."""
        ...


class Line:
    """First come, first assigned: rows are compared in the order in which they come, in a rerun, too."""

    def __init__(self, chooser: Assigns) -> None:
        self._chooser = chooser
        self._waiting: deque[asyncio.Future[Assignment]] = deque()

    def place(self) -> asyncio.Future[Assignment]:
        """One more row; to be called when it comes, not when its task begins."""
        place: asyncio.Future[Assignment] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self.move_on()
        return place

    def move_on(self) -> None:
        """The chooser may have decided."""
        while self._waiting and (assignment := self._chooser.assign()) is not None:
            place = self._waiting.popleft()
            if not place.cancelled():
                place.set_result(assignment)
