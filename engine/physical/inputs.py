"""Distinct inputs of one call, noted while DuckDB's threads run a statement for them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .operators.questions import key_of, weigh

MOST_INPUTS = 200_000
MOST_BYTES = 64 << 20


class EnoughError(Exception):
    """There is no room for more inputs."""


class Inputs:
    """Inputs in the order in which they were found, each once.

    Parameters
    ----------
    most, most_bytes : how many there is room for, and of what size.

    >>> found = Inputs()
    >>> found.note([("a",), None, ("b",), ("a",)])
    >>> list(found)
    [('a',), ('b',)]
    """

    def __init__(self, most: int = MOST_INPUTS, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._found: dict[str | bytes, Sequence[Any]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    @property
    def full(self) -> bool:
        """Whether some may be missing."""
        return len(self._found) >= self._most or self._bytes >= self._most_bytes

    def note(self, inputs: Iterable[Sequence[Any] | None]) -> None:
        """Take what is new; ``None`` is no question.

        Raises
        ------
        EnoughError : there is no room for more.
        """
        with self._lock:
            for values in inputs:
                if values is None:
                    continue
                if self.full:
                    raise EnoughError("no room for more inputs")
                key = key_of(values)
                if key not in self._found:
                    self._found[key] = values
                    self._bytes += weigh(values)
