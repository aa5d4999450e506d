"""How many rows of a table have a property, by how many of a random sample have it: the exact interval."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

_TABLE = 16
"""Factorials are tabled up to a power of two, this one at least."""


def count_interval(found: int, drawn: int, size: int, delta: float) -> tuple[int, int]:
    """The counts that are not refuted by ``found`` rows in ``drawn`` of ``size``, ``delta / 2`` on each side.

    Clopper and Pearson's interval for draws without replacement: W. Katzenbeisser and others call it the inverted hypergeometric
    test. It covers the truth with probability 1 - ``delta`` at least.

    >>> count_interval(50, 100, 1000, 0.05)
    (404, 596)
    >>> count_interval(3, 10, 10, 0.05), count_interval(0, 10, 100, 0.05)
    ((3, 3), (0, 29))
    """
    low = _least(found, drawn, size, delta / 2)
    return low, size - _least(drawn - found, drawn, size, delta / 2)


def _least(found: int, drawn: int, size: int, delta: float) -> int:
    """The smallest count with which so many found are not too unlikely; the likelihood grows with the count."""
    low, high = found, size - (drawn - found)
    while low < high:
        middle = (low + high) // 2
        if _at_least(found, drawn, middle, size) > delta:
            high = middle
        else:
            low = middle + 1
    return low


def _at_least(found: int, drawn: int, count: int, size: int) -> float:
    """The probability that ``drawn`` rows hold ``found`` or more of ``count``."""
    logs = _log_factorials(1 << max(1, size).bit_length())
    x = np.arange(max(found, drawn - (size - count)), min(drawn, count) + 1)
    rest = size - count
    ways = logs[count] - logs[x] - logs[count - x] + logs[rest] - logs[drawn - x] - logs[rest - drawn + x]
    every = logs[size] - logs[drawn] - logs[size - drawn]
    return math.fsum(np.exp(ways - every))


def log_ways(size: Any, chosen: Any) -> Any:
    """The logarithm of the number of ways to choose so many; of whole arrays, element by element.

    >>> round(float(np.exp(log_ways(np.int64(10), np.int64(3)))))
    120
    """
    logs = _log_factorials(1 << max(_TABLE, int(np.max(size, initial=1)).bit_length()))
    return logs[size] - logs[chosen] - logs[size - chosen]


@lru_cache(maxsize=4)
def _log_factorials(most: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
