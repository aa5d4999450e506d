"""Mixes that never change, chosen in hindsight: what an online cascade has to be cheaper than."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anserdb.optimizer.cascades.online.students import HashedStudent

from .cascade_online_runs import Bools, Floats, Ordered, hasher

FIRST = (500, 1_000, 2_000, 4_000)
"""Rows that the reference answers before a student is frozen."""
TOGETHER = 512


def frozen(rows: Ordered, first: int) -> tuple[Floats, Bools]:
    """A student that learns the reference's first answers and nothing more: of each later row, how sure it is, and whether the
    reference contradicts it."""
    student = HashedStudent(rows.classes, hasher())
    student.learn(rows.examples[:first], rows.said[:first], np.ones(first))
    later = rows.examples[first:]
    chances = np.concatenate([student.chances(later[n : n + TOGETHER]) for n in range(0, len(later), TOGETHER)])
    top = np.sort(chances, axis=1)
    return top[:, -1] - top[:, -2], chances.argmax(axis=1) != rows.said[first:]


def best_shares(rows: Ordered, agreements: Sequence[float]) -> list[tuple[float, float]]:
    """Per agreement, the smallest share of reference calls with which a static mix reaches it: with the best of all thresholds of
    the best frozen student, and with the best student asked about rows drawn by chance. Both are picked by the outcome, and pay
    neither for audits nor for finding out."""
    students = [frozen(rows, first) for first in FIRST]
    total = len(rows.said)
    found: list[tuple[float, float]] = []
    for agreement in agreements:
        may = (1 - agreement) * total
        found.append(
            (min(_threshold(*s, may, total) for s in students), min(_drawn(s[1], may, total) for s in students))
        )
    return found


def _threshold(sure: Floats, wrong: Bools, may: float, total: int) -> float:
    count = np.cumsum(wrong[np.argsort(-sure, kind="stable")])
    return 1 - int(np.searchsorted(count, may, side="right")) / total


def _drawn(wrong: Bools, may: float, total: int) -> float:
    return 1 - min(1.0, may / max(1, int(wrong.sum()))) * len(wrong) / total
