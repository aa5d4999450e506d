"""The two students: one reads hashed words, one reads embeddings and what the first one made of the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .examples import Example, Floats
from .hashing import COLUMNS, Hasher, Row, Rows, dense
from .logistic import TOGETHER, Logistic

WORD_RATE, NUMBER_RATE = 0.5, 0.1


def taught(learner: Logistic, rows: Sequence[Row], targets: NDArray[np.int64], weights: Floats) -> None:
    """Learn rows in order, a few a step."""
    for first in range(0, len(rows), TOGETHER):
        some = slice(first, first + TOGETHER)
        learner.learn(Rows.of(rows[some]), targets[some], weights[some])


class HashedStudent:
    """Logistic regression on hashed words and pairs of words."""

    def __init__(self, classes: int, hasher: Hasher | None = None) -> None:
        self._hasher = hasher or Hasher()
        self._learner = Logistic(COLUMNS + 1, classes, WORD_RATE)

    def chances(self, examples: Sequence[Example], _below: Floats | None = None) -> Floats:
        """Per row the probability of each class."""
        return self._learner.chances(Rows.of(self._hasher.rows([example.text for example in examples])))

    def see(self, examples: Sequence[Example]) -> None:
        """Rows that came by, whoever answers them: nothing is fitted on those."""

    def learn(
        self, examples: Sequence[Example], targets: NDArray[np.int64], weights: Floats, _below: Floats | None = None
    ) -> None:
        """What the reference said of some rows, and for how many each stands."""
        taught(self._learner, self._hasher.rows([example.text for example in examples]), targets, weights)

    def refresh(self, share: float) -> None:
        """Let what comes count for more."""
        self._learner.refresh(share)

    def dump(self) -> dict[str, NDArray[Any]]:
        """All that it knows."""
        return self._learner.dump()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """What :meth:`dump` gave."""
        self._learner.restore(state)


class EmbeddedStudent:
    """Logistic regression on embeddings, brought to one scale by what came by so far, beside the log-odds of the student below."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._learner: Logistic | None = None
        self._seen = 0
        self._sum: Floats = np.zeros(0)
        self._squares: Floats = np.zeros(0)

    def chances(self, examples: Sequence[Example], below: Floats | None = None) -> Floats:
        """Per row the probability of each class; NaN where there is no embedding, or nothing was learnt yet."""
        found = np.full((len(examples), self._classes), np.nan)
        there = [number for number, example in enumerate(examples) if example.embedding is not None]
        if there and self._learner is not None:
            found[there] = self._learner.chances(Rows.of(self._rows(examples, there, below)))
        return found

    def see(self, examples: Sequence[Example]) -> None:
        """Rows that came by, whoever answers them: their scale is learnt."""
        vectors = [example.embedding for example in examples if example.embedding is not None]
        if vectors:
            block = np.asarray(vectors, np.float64)
            if not self._seen:
                self._sum, self._squares = np.zeros(block.shape[1]), np.zeros(block.shape[1])
            self._seen += len(block)
            self._sum += block.sum(axis=0)
            self._squares += (block**2).sum(axis=0)

    def learn(
        self, examples: Sequence[Example], targets: NDArray[np.int64], weights: Floats, below: Floats | None = None
    ) -> None:
        """What the reference said of some rows; :meth:`see` comes first."""
        there = [number for number, example in enumerate(examples) if example.embedding is not None]
        if there:
            self._learner = self._learner or Logistic(self._width(below), self._classes, NUMBER_RATE)
            taught(self._learner, self._rows(examples, there, below), targets[there], weights[there])

    def _width(self, below: Floats | None) -> int:
        return len(self._sum) + (0 if below is None else below.shape[1]) + 1

    def _rows(self, examples: Sequence[Example], there: Sequence[int], below: Floats | None) -> list[Row]:
        mean = self._sum / self._seen
        scale = np.sqrt(np.maximum(self._squares / self._seen - mean**2, 1e-12) * len(mean))
        block = (np.asarray([examples[number].embedding for number in there], np.float64) - mean) / scale
        if below is not None:
            logs = np.log(np.maximum(below[list(there)], 1e-6))
            block = np.hstack([block, (logs - logs.mean(axis=1, keepdims=True))])
        return [dense(row) for row in block]

    def refresh(self, share: float) -> None:
        """Let what comes count for more."""
        if self._learner is not None:
            self._learner.refresh(share)

    def dump(self) -> dict[str, NDArray[Any]]:
        """All that it knows."""
        scale = {"seen": np.array(self._seen), "sum": self._sum, "squared": self._squares}
        if self._learner is None:
            return scale
        return {**scale, "width": np.array(self._learner.width), **self._learner.dump()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """What :meth:`dump` gave."""
        self._seen, self._sum, self._squares = int(state["seen"]), state["sum"].copy(), state["squared"].copy()
        if "width" in state:
            self._learner = Logistic(int(state["width"]), self._classes, NUMBER_RATE)
            self._learner.restore(state)
