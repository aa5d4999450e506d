"""A score of the user's own as a proxy."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...dataflow.lookups import in_thread
from ..operators.questions import key_of
from .proxy import Judged
from .reference import Key

LABELS = 100
"""The reference's answers that tell what a score outside of 0..1 means."""
NAME = "an expression"


class ScoreProxy:
    """Of a BOOLEAN call: how likely TRUE is, or any number that has to do with it. See :class:`~.proxy.Proxy`.

    Parameters
    ----------
    scores : by input. Numbers of which all are in 0..1 are probabilities of TRUE; of others some of the reference's answers
        tell what they mean.
    """

    name = NAME

    def __init__(self, scores: Mapping[Key, Any]) -> None:
        known = {key: _finite(score) for key, score in scores.items()}
        self._scores = {key: score for key, score in known.items() if score is not None}
        likely = all(0.0 <= score <= 1.0 for score in self._scores.values())
        self.labels = 0 if likely else LABELS
        self._scale = _Line(1.0, -0.5)

    async def train(self, rows: Sequence[Sequence[Any]], answers: Sequence[Any]) -> None:
        """See :class:`~.proxy.Proxy`."""
        pairs = [(self._scores.get(key_of(row)), answer) for row, answer in zip(rows, answers, strict=True)]
        known = [(score, bool(answer)) for score, answer in pairs if score is not None]
        self._scale = await in_thread(partial(_fitted, known, self._scores.values()))

    async def answer(self, rows: Sequence[Sequence[Any]]) -> Sequence[Judged | None]:
        """See :class:`~.proxy.Proxy`."""
        return [self._judged(self._scores.get(key_of(row))) for row in rows]

    def _judged(self, score: float | None) -> Judged | None:
        if score is None:
            return None
        confidence = self._scale.of(score)
        return Judged(confidence > 0.0, confidence)


class LabelProxy:
    """Of a call with labels: a STRUCT of a label and how sure of it somebody is. See :class:`~.proxy.Proxy`.

    Parameters
    ----------
    scores : by input, as mappings whose first field is the label and the second the number. labels : of the call; others are no
        answers (empty: each row has its own).
    """

    name = NAME
    labels = 0

    def __init__(self, scores: Mapping[Key, Any], labels: Collection[str] = ()) -> None:
        self._scores, self._known = scores, frozenset(labels)

    async def train(self, rows: Sequence[Sequence[Any]], answers: Sequence[Any]) -> None:
        """Nothing to learn."""

    async def answer(self, rows: Sequence[Sequence[Any]]) -> Sequence[Judged | None]:
        """See :class:`~.proxy.Proxy`."""
        return [self._judged(self._scores.get(key_of(row))) for row in rows]

    def _judged(self, given: Mapping[str, Any] | None) -> Judged | None:
        label, score = (None, None) if given is None else (*given.values(), None, None)[:2]
        finite = _finite(score)
        if label is None or finite is None or (self._known and label not in self._known):
            return None
        return Judged(label, finite)


@dataclass(frozen=True, slots=True)
class _Line:
    """A number, above 0 where TRUE is likelier."""

    slope: float
    intercept: float

    def of(self, score: float) -> float:
        return self.slope * score + self.intercept


def _fitted(known: Sequence[tuple[float, bool]], scores: Collection[float]) -> _Line:
    """By logistic regression; where the answers are all alike, high scores are taken to be those of TRUE."""
    said = {answer for _, answer in known}
    if len(said) < 2:
        return _Line(1.0, 1.0 - min(scores)) if said == {True} else _Line(1.0, -1.0 - max(scores, default=0.0))
    from sklearn.linear_model import LogisticRegression

    x, y = np.array([score for score, _ in known]), np.array([answer for _, answer in known])
    mean, spread = float(x.mean()), float(x.std()) or 1.0
    model = LogisticRegression().fit(((x - mean) / spread)[:, None], y)
    slope = float(model.coef_[0, 0]) / spread
    return _Line(slope, float(model.intercept_[0]) - slope * mean)


def scores_by_input(keys: Sequence[Key | None], scores: Sequence[Any]) -> dict[Key, Any]:
    """Of equal inputs the greatest score: they are one question, and have one answer.

    >>> scores_by_input(["a", "b", "a", None], [0.25, None, 0.75, 1.0])
    {'a': 0.75}
    """
    found: dict[Key, Any] = {}
    for key, score in zip(keys, scores, strict=True):
        if key is not None and score is not None and (key not in found or _rank(score) > _rank(found[key])):
            found[key] = score
    return found


def _rank(score: Any) -> tuple[float, str]:
    label, number = (None, score) if not isinstance(score, Mapping) else (*score.values(), None, None)[:2]
    finite = _finite(number)
    return (-math.inf if finite is None else finite, repr(label))


def _finite(number: Any) -> float | None:
    return float(number) if number is not None and math.isfinite(number) else None
