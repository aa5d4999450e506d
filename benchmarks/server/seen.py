"""What a simulator tells of itself, whichever door requests came through."""

from __future__ import annotations

from .bill import Bill
from .desk import Desk
from .stats import Stats


class Seen:
    """A door to a :class:`~.desk.Desk`: a server, or a model in this process."""

    _desk: Desk

    @property
    def stats(self) -> Stats:
        """What it saw."""
        return self._desk.stats

    @property
    def bill(self) -> Bill:
        """What it charges."""
        return self._desk.bill
