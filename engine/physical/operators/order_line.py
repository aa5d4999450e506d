"""Rows that share an order which is learnt from them, and wait for it in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from ....optimizer.ordering.adaptive import AdaptiveOrder, Ticket
from ....optimizer.ordering.branches import DONE, Branches
from ....optimizer.ordering.counts import Asked


class OrderLine:
    """A line of rows.

    Parameters
    ----------
    order : in which they are asked. places : of the calls whose answers its predicates read.

    Attributes
    ----------
    begun : rows that have got a ticket. over : no other row need be asked.
    """

    def __init__(self, order: AdaptiveOrder, places: tuple[int, ...]) -> None:
        self._order, self.places = order, places
        self._waiting: deque[tuple[asyncio.Future[Ticket], bytes]] = deque()
        self._since: tuple[tuple[int, ...], int] = ((), 0)
        self.begun = 0
        self.over = False

    def queue(self, row: bytes) -> asyncio.Future[Ticket]:
        """The ticket of a row, when it is its turn. ``row`` : what tells it from others."""
        place: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._waiting.append((place, row))
        self._move_on()
        return place

    def seen(self, ticket: Ticket, row: Sequence[Asked]) -> None:
        """What came of a row; see ``AdaptiveOrder``."""
        self._order.seen(ticket, row)
        self._move_on()

    def note(self, sites: Sequence[str]) -> str:
        """What is to be said of it, by the names of all calls."""
        (order, since), machine = self._since, self._order
        names = [sites[place] for place in self.places]
        shown = _branch(order, names) if isinstance(machine.logic, Branches) else ", ".join(names[at] for at in order)
        again = f"; begun again {machine.standing.restarts:,} times" if machine.standing.restarts else ""
        return f"{shown} since row {since:,} of {self.begun:,}; every answer asked in {machine.audited:,} rows{again}"

    def _move_on(self) -> None:
        order = self._order
        while self._waiting and not self.over and (ticket := order.ticket(self._waiting[0][1])) is not None:
            place, _ = self._waiting.popleft()
            self.begun += 1
            if order.standing.order != self._since[0]:
                self._since = order.standing.order, self.begun
            if not place.cancelled():
                place.set_result(ticket)


def _branch(order: Sequence[int], names: Sequence[str], context: int = 0) -> str:
    """A plan of branches in words: ``a (TRUE: b, else: c)``."""
    if (place := order[context]) == DONE:
        return ""
    true, other = (_branch(order, names, context + answer * 3**place) for answer in (1, 2))
    if not (true or other) or true == other:
        return f"{names[place]}{true and f', {true}'}"
    ways = [f"{word}: {way}" for word, way in (("TRUE", true), ("else", other)) if way]
    return f"{names[place]} ({', '.join(ways)})"
