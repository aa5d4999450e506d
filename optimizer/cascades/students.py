"""Students: logistic regressions that learn from a reference's answers which answer a row would get, and how sure that is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sparse = Any
"""A scipy CSR matrix."""

STRENGTHS = (0.05, 0.4, 3.0, 24.0)
"""Inverse regularisation, from which cross-validation on the training rows chooses."""
FOLDS = 4
FEW = 2
"""A bucket of words that fewer training rows fall into says nothing of others."""
RARE = 0.2
"""Share of rows below which an answer of two counts for more than its rows."""
TOLERANCE, STEPS = 1e-3, 2000


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of rows without asking anybody about them.

    Parameters
    ----------
    grams : a row of hashed words per row. blocks : further columns, each block as important as another, however wide it is.
    """

    grams: Sparse
    blocks: tuple[Floats, ...] = ()


@dataclass(frozen=True, slots=True)
class Student:
    """What was learnt: linear in the features.

    Parameters
    ----------
    labels : the answers it knows. columns : the buckets of words that count.
    grams, dense, intercepts : a row of weights per score: one for two labels (how much it is for the second), else one a label.
    slope, shift : what makes probabilities of scores, by rows that the scores did not learn from.
    """

    labels: tuple[Any, ...]
    columns: NDArray[np.int32]
    grams: NDArray[np.float32]
    dense: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    slope: float = 1.0
    shift: float = 0.0

    def judge(self, features: Features) -> tuple[list[Any], Floats]:
        """An answer per row, and how sure: log-odds of TRUE for a BOOLEAN, of the answer itself for labels."""
        scores = self.slope * self._scores(features)
        if len(self.intercepts) == 1:
            odds = self.shift + scores[:, 0]
            second = odds > 0 if len(self.labels) == 2 else np.zeros(len(odds), dtype=bool)
            sure = odds if self.boolean else np.abs(odds)
            return [self.labels[int(at)] for at in second], sure
        at = scores.argmax(axis=1)
        return [self.labels[int(place)] for place in at], _ahead(scores, at)

    @property
    def boolean(self) -> bool:
        """Whether it answers TRUE and FALSE."""
        return all(isinstance(label, bool) for label in self.labels)

    def _scores(self, features: Features) -> Floats:
        dense = np.hstack(features.blocks) if features.blocks else np.zeros((features.grams.shape[0], 0))
        found = features.grams[:, self.columns] @ self.grams.T.astype(np.float64)
        return np.asarray(found + dense @ self.dense.T.astype(np.float64) + self.intercepts)


def fit(features: Features, answers: Sequence[Any], seed: int = 0) -> Student:
    """Learn from answers. Regularisation is chosen, and probabilities are calibrated, by cross-validation among these rows alone.

    Parameters
    ----------
    answers : of the rows, hashable, none of them NULL. seed : of the folds.

    Raises
    ------
    ValueError : there are no answers.
    """
    labels = tuple(sorted(set(answers), key=lambda label: (str(type(label)), label)))
    if not labels:
        raise ValueError("a student needs answers to learn from")
    scaled = _Scaled.of(features)
    if len(labels) == 1:
        return _unanimous(scaled, labels, len(answers))
    known = np.array([labels.index(answer) for answer in answers])
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):  # the cores are the database's
        return _fitted(scaled, known, labels, seed)


def packed(student: Student) -> tuple[str, bytes]:
    """JSON and numbers, of which :func:`unpacked` makes the student again."""
    told = {
        "labels": list(student.labels),
        "columns": len(student.columns),
        "dense": student.dense.shape[1],
        "scores": len(student.intercepts),
        "slope": student.slope,
        "shift": student.shift,
    }
    parts = (student.columns, student.grams, student.dense, student.intercepts)
    return json.dumps(told, ensure_ascii=False), b"".join(_bytes(part) for part in parts)


def unpacked(told: str, numbers: bytes) -> Student:
    """The student of :func:`packed`.

    Raises
    ------
    ValueError : the numbers are not as many as they should be.
    """
    known: Mapping[str, Any] = json.loads(told)
    columns, dense, scores = known["columns"], known["dense"], known["scores"]
    ends = np.cumsum([columns, scores * columns, scores * dense, scores])
    values = np.frombuffer(numbers, dtype="<f4")
    if len(values) != ends[-1]:
        raise ValueError(f"a student of {ends[-1]} numbers was stored as {len(values)}")
    _, grams, wide, intercepts = np.split(values.astype(np.float32), ends[:-1])
    places = np.frombuffer(numbers, dtype="<i4", count=columns).astype(np.int32)
    return Student(
        tuple(known["labels"]),
        places,
        grams.reshape(scores, columns),
        wide.reshape(scores, dense),
        intercepts,
        known["slope"],
        known["shift"],
    )


@dataclass(frozen=True, slots=True)
class _Scaled:
    """Training rows as one matrix: buckets that several rows share, and blocks of unit weight."""

    matrix: Sparse
    columns: NDArray[np.int32]
    means: Floats
    factors: Floats

    @classmethod
    def of(cls, features: Features) -> _Scaled:
        from scipy import sparse

        rows = features.grams.shape[0]
        columns = np.flatnonzero(features.grams.getnnz(axis=0) >= min(FEW, rows)).astype(np.int32)
        dense = np.hstack(features.blocks) if features.blocks else np.zeros((rows, 0))
        widths = np.repeat([b.shape[1] for b in features.blocks], [b.shape[1] for b in features.blocks])
        spread = dense.std(axis=0) if rows else np.ones(dense.shape[1])
        factors = 1.0 / (np.where(spread > 0, spread, 1.0) * np.sqrt(np.maximum(widths, 1)))
        means = dense.mean(axis=0) if rows else np.zeros(dense.shape[1])
        matrix = sparse.hstack([features.grams[:, columns], (dense - means) * factors], format="csr")
        return cls(matrix, columns, means, factors)

    def student(self, labels: tuple[Any, ...], weights: Floats, intercepts: Floats) -> Student:
        """The weights, for features as they come."""
        grams, dense = weights[:, : len(self.columns)], weights[:, len(self.columns) :] * self.factors
        bare = (intercepts - dense @ self.means).astype(np.float32)
        return Student(labels, self.columns, grams.astype(np.float32), dense.astype(np.float32), bare)


def _unanimous(scaled: _Scaled, labels: tuple[Any, ...], rows: int) -> Student:
    """All answers are the same one: as sure as so many rows make it."""
    weights = np.zeros((1, scaled.matrix.shape[1]))
    odds = math.log(rows + 1) * (-1 if labels[0] is False else 1)
    return replace(scaled.student(labels, weights, np.zeros(1)), shift=odds)


def _fitted(scaled: _Scaled, known: NDArray[np.int_], labels: tuple[Any, ...], seed: int) -> Student:
    counts = np.bincount(known, minlength=len(labels))
    weighted = len(labels) == 2 and counts.min() < RARE * counts.sum()
    folds = _folds(known, counts, seed)
    if len(set(known[np.concatenate(folds)])) < 2:
        return scaled.student(labels, *_learnt(scaled.matrix, known, len(labels), 1.0, weighted=weighted))
    tried = [_Trial.of(scaled.matrix, known, len(labels), folds, strength, weighted) for strength in STRENGTHS]
    best = min(tried, key=lambda trial: trial.loss)
    student = scaled.student(labels, *_learnt(scaled.matrix, known, len(labels), best.strength, weighted=weighted))
    return replace(student, slope=best.slope, shift=best.shift)


@dataclass(frozen=True, slots=True)
class _Trial:
    """What a regularisation is worth: the log loss of calibrated probabilities, of rows that the scores did not learn from."""

    strength: float
    slope: float
    shift: float
    loss: float

    @classmethod
    def of(
        cls,
        matrix: Sparse,
        known: NDArray[np.int_],
        labels: int,
        folds: Sequence[NDArray[np.int_]],
        strength: float,
        weighted: bool,
    ) -> _Trial:
        scores = np.zeros((len(known), 1 if labels == 2 else labels))
        for fold in folds:
            others = np.setdiff1d(np.arange(len(known)), fold)
            weights, intercepts = _learnt(matrix[others], known[others], labels, strength, weighted=weighted)
            scores[fold] = matrix[fold] @ weights.T + intercepts
        held = np.concatenate(folds)
        slope, shift = _calibrated(scores[held], known[held])
        return cls(strength, slope, shift, _loss(slope * scores[held] + shift, known[held]))


def _learnt(
    matrix: Sparse, known: NDArray[np.int_], labels: int, strength: float, *, weighted: bool
) -> tuple[Floats, Floats]:
    from sklearn.linear_model import LogisticRegression

    weights = "balanced" if weighted else None
    model = LogisticRegression(C=strength, class_weight=weights, tol=TOLERANCE, max_iter=STEPS)
    model.fit(matrix, known)
    assert len(model.classes_) == labels
    return np.asarray(model.coef_), np.asarray(model.intercept_)


def _folds(known: NDArray[np.int_], counts: NDArray[np.int_], seed: int) -> list[NDArray[np.int_]]:
    """Rows by fold; each answer is spread over them, so that some of its rows are in all others. One that stands alone is in none:
    it cannot be learnt on one side and tested on the other."""
    order = np.random.default_rng(seed).permutation(len(known))
    order = order[np.argsort(known[order], kind="stable")]
    shared = order[counts[known[order]] > 1]
    return [shared[start::FOLDS] for start in range(FOLDS)]


def _calibrated(scores: Floats, known: NDArray[np.int_]) -> tuple[float, float]:
    """Slope and shift (two labels alone have one) with which scores are log-odds."""
    from scipy.optimize import minimize

    shifts = scores.shape[1] == 1

    def loss(given: Floats) -> float:
        return _loss(math.exp(given[0]) * scores + (given[1] if shifts else 0.0), known)

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 200, "xatol": 1e-2, "fatol": 1e-5})
    return math.exp(float(np.clip(found.x[0], -5.0, 5.0))), float(found.x[1]) if shifts else 0.0


def _loss(scores: Floats, known: NDArray[np.int_]) -> float:
    """Mean negative log-likelihood."""
    if scores.shape[1] == 1:
        signs = np.where(known == 1, 1.0, -1.0)
        return float(np.logaddexp(0.0, -signs * scores[:, 0]).mean())
    return float((np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(known)), known]).mean())


def _ahead(scores: Floats, at: NDArray[np.int_]) -> Floats:
    """Log-odds of the best of several scores."""
    rows = np.arange(len(at))
    best, others = scores[rows, at], scores.copy()
    others[rows, at] = -np.inf
    return np.asarray(best - np.logaddexp.reduce(others, axis=1))


def _bytes(part: NDArray[Any]) -> bytes:
    return part.astype("<i4" if part.dtype == np.int32 else "<f4").tobytes()
