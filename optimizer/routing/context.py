"""What is known of a row before anybody is asked: the directions in which its words differ most from other rows', and its length."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .belief import Floats

BUCKETS = 1024
DIRECTIONS = 16
FITTED_ON = 192
"""Rows whose words say what the directions are: the first that come."""
WORDS = 512
"""Of a row's text, at most."""
_WORD = re.compile(r"\w+|\$|%")
WIDTH = DIRECTIONS + 1


class Context:
    """Hashed words on their principal components (16), found from the first rows, and the logarithm of the length.

    >>> context = Context()
    >>> context.of(["gold rises"]).shape
    (17,)
    >>> bool(context.of(["gold rises"])[:16].any())  # nothing is known of other rows yet
    False
    """

    def __init__(self) -> None:
        self._first: list[Floats] = []
        self._centre = np.zeros(DIRECTIONS)
        self._directions = np.zeros((BUCKETS, DIRECTIONS))
        self._fitted = False

    def of(self, values: Sequence[Any]) -> Floats:
        """The context of a row's inputs. Rows have to come in their order: the first ones decide what the others' mean."""
        text = " ".join(map(str, values))
        words = hashed(text)
        if not self._fitted:
            self._first.append(words)
            if len(self._first) == FITTED_ON:
                self._fit()
        there = np.flatnonzero(words)  # a few of many
        placed = words[there] @ self._directions[there] - self._centre
        return np.append(placed, math.log1p(len(text)) / 5.0 - 1.0)

    def _fit(self) -> None:
        """Principal components by the products of rows, of which there are fewer than buckets."""
        rows = np.array(self._first)
        self._first.clear()
        centre = rows.mean(axis=0)
        apart = rows - centre
        squares, sides = np.linalg.eigh(apart @ apart.T)
        found = [at for at in range(len(rows) - 1, len(rows) - 1 - DIRECTIONS, -1) if squares[at] > 1e-9]
        # Each direction in units of its own spread: a linear regression with one prior for all reads them alike.
        self._directions[:, : len(found)] = (apart.T @ sides[:, found]) * (math.sqrt(len(rows)) / squares[found])
        self._centre = centre @ self._directions
        self._fitted = True


def hashed(text: str) -> Floats:
    """Words and pairs of words in buckets, as square roots of their counts, of length 1.

    >>> bool(np.isclose(np.linalg.norm(hashed("gold rises")), 1.0))
    True
    """
    words = _WORD.findall(text.casefold())[:WORDS]
    found = np.zeros(BUCKETS)
    for part in (*words, *map(" ".join, pairwise(words))):
        found[zlib.crc32(part.encode(errors="surrogatepass")) % BUCKETS] += 1.0
    found = np.sqrt(found)
    return found / (np.linalg.norm(found) or 1.0)
