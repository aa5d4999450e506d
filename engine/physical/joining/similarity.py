"""How alike two texts are by their words and parts of words; no model is asked.

Words and three-letter parts are counted, weighed by how few texts have them, and hashed to so many columns. It is only an order
in which pairs are looked at: what it gets wrong costs calls, never a match (:mod:`.blocking` measures what is left out).
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

COLUMNS = 2048
PART = 3
AT_ONCE = 4096
_WORD = re.compile(r"\w+")


def pair_scores(left: Sequence[str], right: Sequence[str], pairs: tuple[Ints, Ints]) -> Floats:
    """Per pair of places, how much more alike its texts are than they are to most others.

    A pair is measured by the best that either text has anywhere: so a text with few words in common with anything still has
    its best partners first, and nothing assumes that it has one only.

    >>> at = np.array([0, 0]), np.array([0, 1])
    >>> scores = pair_scores(["red wool hat"], ["hat of red wool", "blue car"], at)
    >>> bool(scores[0] > scores[1])
    True
    """
    lefts, rights = pairs
    if not len(lefts):
        return np.zeros(0, np.float32)
    weights = _vectors([*left, *right])
    alike = _products(weights[: len(left)], weights[len(left) :], lefts, rights)
    best_left, best_right = np.zeros(len(left), np.float32), np.zeros(len(right), np.float32)
    np.maximum.at(best_left, lefts, alike)
    np.maximum.at(best_right, rights, alike)
    best = np.sqrt(best_left[lefts] * best_right[rights])
    scores: Floats = np.divide(alike, best, out=np.zeros_like(alike), where=best > 0)
    return scores


def _products(left: Floats, right: Floats, lefts: Ints, rights: Ints) -> Floats:
    """The cosine of each pair: of all with all where most are wanted, else one by one."""
    if len(left) * len(right) <= 4 * len(lefts):
        whole: Floats = (left @ right.T)[lefts, rights]
        return whole
    found = np.zeros(len(lefts), np.float32)
    for start in range(0, len(lefts), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        found[some] = np.einsum("ij,ij->i", left[lefts[some]], right[rights[some]])
    return found


def _vectors(texts: Sequence[str]) -> Floats:
    """A row of length 1 per text (0 for one without a word)."""
    found = np.zeros((len(texts), COLUMNS), np.float32)
    for row, text in enumerate(texts):
        for token, count in _tokens(text).items():
            found[row, zlib.crc32(token.encode(errors="surrogatepass")) % COLUMNS] += count
    having = np.count_nonzero(found, axis=0)
    found *= np.log1p(len(texts) / np.maximum(having, 1)).astype(np.float32)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    np.divide(found, length, out=found, where=length > 0)
    return found


def _tokens(text: str) -> Counter[str]:
    """Words count as much as all their parts."""
    found: Counter[str] = Counter()
    for word in _WORD.findall(text.casefold()):
        found[word] += 2
        padded = f"^{word}$"
        found.update(f"#{padded[i : i + PART]}" for i in range(max(1, len(padded) - PART + 1)))
    return found
