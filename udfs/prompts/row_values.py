"""A call's inputs for one row: literals of the call and values of the row, back in the order they were written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RowValues:
    """Which arguments a row supplies.

    Parameters
    ----------
    constants : the literal per position; anything where the row supplies the value.
    dynamic : whether the row supplies it.
    """

    constants: tuple[Any, ...]
    dynamic: tuple[bool, ...]

    def of(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """All arguments.

        >>> RowValues(("a", None), (False, True)).of(["b"])
        ('a', 'b')
        """
        given: Iterator[Any] = iter(row)
        return tuple(
            next(given) if dynamic else constant for constant, dynamic in zip(self.constants, self.dynamic, strict=True)
        )
