"""How far two lists agree whose elements become rows, 0 to 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

ORDINAL = "ordinal"
"""Numbers the rows of a list: one row more in front would make all that follow others."""
DIGITS = 6


def row_sets(mine: Any, reference: Any) -> float:
    """F1 of the rows, as multisets: equal ones are found whatever their order and number; 1 for two empty lists.

    Case and outer space do not count in text, nor what floating-point numbers differ in after six digits. NULL is no empty list.

    >>> row_sets([{"name": "Ann ", "ordinal": 1}], [{"name": "Bob", "ordinal": 1}, {"name": "ann", "ordinal": 2}])
    0.6666666666666666
    >>> row_sets([], []), row_sets(None, []), row_sets(None, None)
    (1.0, 0.0, 1.0)
    """
    if mine is None or reference is None:
        return float(mine is reference)
    if not mine and not reference:
        return 1.0
    both = (_rows(mine) & _rows(reference)).total()
    return 2 * both / (len(mine) + len(reference))


def _rows(elements: Sequence[Any]) -> Counter[Any]:
    return Counter(_key(_unnumbered(element)) for element in elements)


def _unnumbered(element: Any) -> Any:
    return {n: v for n, v in element.items() if n != ORDINAL} if isinstance(element, dict) else element


def _key(value: Any) -> Any:
    """Equal for what counts as equal, and hashable."""
    if isinstance(value, dict):
        return frozenset((name, _key(part)) for name, part in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_key, value))
    if isinstance(value, str):
        return value.strip().casefold()
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
