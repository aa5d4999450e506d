"""Contexts of a row (what it has passed, or answered) by their size, each with those that it has one answer less than."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

Level = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
"""Contexts and predicates not answered in them, pair by pair, and per pair the contexts with one answer less."""


@lru_cache(maxsize=16)
def levels(count: int, answers: int) -> list[Level]:
    """By how many predicates of ``count`` are answered, each in one of ``answers`` ways: a context is a number to the base of
    ``answers + 1``, and the digit 0 stands for what was not asked.

    >>> [contexts.tolist() for contexts, _, _ in levels(2, 1)]
    [[0, 0], [1, 2]]
    """
    base, found = answers + 1, []
    for level in range(count):
        pairs, less = [], []
        for members in combinations(range(count), level):
            for digits in product(range(1, base), repeat=level):
                steps = [digit * base**place for place, digit in zip(members, digits, strict=True)]
                others = [place for place in range(count) if place not in members]
                pairs += [(sum(steps), place) for place in others]
                less += [[sum(steps) - step for step in steps]] * len(others)
        contexts, predicates = np.array(pairs, dtype=np.intp).T
        found.append((contexts, predicates, np.array(less, dtype=np.intp)))
    return found
