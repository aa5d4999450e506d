"""Rows one by one, from a source that gives them in portions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

Row = tuple[Any, ...]


class RowBuffer:
    """``fetchone`` and its kin.

    Parameters
    ----------
    more : the next portion, ``None`` at the end; what it raises goes through, and it is asked again next time.

    >>> portions = iter([[(1,), (2,)], [], [(3,)], None])
    >>> rows = RowBuffer(lambda: next(portions))
    >>> rows.take(1), rows.take(None), rows.take(1)
    ([(1,)], [(2,), (3,)], [])
    """

    def __init__(self, more: Callable[[], list[Row] | None]) -> None:
        self._more: Callable[[], list[Row] | None] | None = more
        self._rows: deque[Row] = deque()

    def take(self, size: int | None) -> list[Row]:
        """Up to ``size`` rows, or all that are left."""
        while self._more is not None and (size is None or len(self._rows) < size):
            portion = self._more()
            if portion is None:
                self._more = None
            else:
                self._rows.extend(portion)
        count = len(self._rows) if size is None else min(size, len(self._rows))
        return [self._rows.popleft() for _ in range(count)]
