"""Texts as hashed words and pairs of words: no vocabulary, so nothing is ever fitted on rows that have not come yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = 1 << 18
BIAS = COLUMNS
REMEMBERED = 2_048
"""Rows that are kept hashed, because what is decided now is learnt from soon."""


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of a row that are not 0, and their values."""

    columns: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows behind one another: ``starts`` says where each begins. None is empty."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Rows:
        """All of them, in order."""
        lengths = np.array([len(row.columns) for row in rows])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        columns, values = (np.concatenate([getattr(row, name) for row in rows]) for name in ("columns", "values"))
        return cls(starts, columns, values)

    def owners(self) -> NDArray[np.int64]:
        """Per value, the number of its row."""
        return np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.columns)))


class Hasher:
    """Hashes texts, and remembers the latest.

    >>> row, same = Hasher().rows(["a good film", "A GOOD film"])
    >>> bool((row.columns == same.columns).all())
    True
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._words = HashingVectorizer(
            n_features=COLUMNS, ngram_range=(1, 2), binary=True, alternate_sign=False, token_pattern=r"(?u)\b\w+\b|[!?]"
        )
        self._known: dict[str, Row] = {}
        self._remembered = remembered

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """One row per text; of length 1, with a column that is always 1 beside."""
        found = {text: row for text in texts if (row := self._known.get(text)) is not None}
        fresh = [text for text in dict.fromkeys(texts) if text not in found]
        if fresh:
            found.update(zip(fresh, self._hashed(fresh), strict=True))
            self._remember(found, fresh)
        return [found[text] for text in texts]

    def _hashed(self, texts: Sequence[str]) -> Iterable[Row]:
        made: Any = self._words.transform(texts)
        for first, last in zip(made.indptr[:-1], made.indptr[1:], strict=True):
            columns = np.append(made.indices[first:last].astype(np.int64), BIAS)
            yield Row(columns, np.append(made.data[first:last], 1.0))

    def _remember(self, found: Mapping[str, Row], fresh: Sequence[str]) -> None:
        self._known.update((text, found[text]) for text in fresh)
        for text in list(self._known)[: max(0, len(self._known) - self._remembered)]:
            del self._known[text]


def dense(vector: NDArray[Any]) -> Row:
    """A row of numbers, with a column that is always 1 behind."""
    return Row(np.arange(len(vector) + 1), np.append(vector.astype(np.float64), 1.0))
