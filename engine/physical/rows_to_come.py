"""How many questions a call site will put, as far as is known where a row stands: the same in every run of a query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..dataflow.progress import SiteProgress


@dataclass(frozen=True, slots=True)
class Come:
    """What was known when a question came.

    Parameters
    ----------
    questions, rows : that had come by then. total : rows that will have come; ``None``: nobody knew.
    """

    questions: int = 0
    rows: int = 0
    total: int | None = None


class Questions:
    """How many questions a call site will put: its rows, less those that repeat others or need no call.

    Rows come as fast as there is room for them, and how many have come when something is decided depends on how fast answers are. So
    what is expected is said for the row that decides.

    Parameters
    ----------
    progress : of the call site.

    Attributes
    ----------
    deciding : rows of which it is known who may answer, and not yet who is asked.
    """

    def __init__(self, progress: SiteProgress) -> None:
        self._progress, self._come, self.deciding = progress, 0, 0
        self._reached = Come()
        self._total: Callable[[], int | None] = lambda: progress.rows_total

    def one(self) -> Come:
        """One has come."""
        self._come += 1
        return Come(self._come, self._progress.rows_in, self._total())

    def reached(self, come: Come) -> None:
        """What is decided next is decided for this one."""
        self._reached = come

    def expected(self) -> float | None:
        """All of them; ``None``: nobody knows how many rows there are."""
        reached = self._reached
        if not reached.questions:  # nobody says
            reached = Come(self._come, self._progress.rows_in, self._total())
        return None if reached.total is None else reached.total * reached.questions / max(1, reached.rows)

    def know(self, total: int | None) -> None:
        """So many rows will have come, as far as is known of the next one."""
        self._total = lambda: total
