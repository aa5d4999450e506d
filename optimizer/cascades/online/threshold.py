"""Up to which doubt levels may answer, so that no more rows go wrong than the user allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .examples import Floats

GROUPS = 40
"""Candidates: thresholds between groups of labelled rows, most of them of one size: of so many equal ones."""
FEWEST = 5
FINE, FINER = 16, 4
"""The first groups, of the surest rows, are so many times smaller: few of those are labelled, and they are not to be mixed with rows
that are doubted."""

DEAREST = 0.25
"""Nobody answers who is doubted more: what may go wrong is not spent on guesses, each of which saves one question and costs as many
wrong rows as several sure answers."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows of which the reference's answer is known.

    Parameters
    ----------
    doubts : per row and level. wrong : the same, whether the reference contradicts the level.
    standing : per row, for how many it stands among those of its time and doubt.
    """

    doubts: Floats
    wrong: NDArray[np.bool_]
    standing: Floats


@dataclass(frozen=True, slots=True)
class Threshold:
    """Up to which doubt levels answer (−1: none does), and what is known there.

    Parameters
    ----------
    bound : of the share of all rows that go wrong, from above. borders : doubts at which groups of labelled rows end.
    weights : per group, the share of all rows that one labelled row speaks for.
    """

    doubt: float
    bound: float
    borders: Floats
    weights: Floats

    def weight(self, doubt: float) -> float:
        """Of a row: the share of all rows that one labelled row of like doubt speaks for."""
        if not len(self.weights):
            return 0.0
        return float(self.weights[min(int(np.searchsorted(self.borders, doubt)), len(self.weights) - 1)])


CLOSED = Threshold(-1.0, 0.0, np.zeros(0), np.zeros(0))


def solved(labelled: Labelled, lately: Floats, allowed: float, delta: float) -> Threshold:
    """The largest threshold on doubt at which an upper bound of the share of all rows that go wrong is within what is allowed.

    A row is answered by the first level whose doubt is at most the threshold. How often such answers go wrong is counted among
    labelled rows in groups of like doubt, and each group weighs as much as it has rows among all that came lately, whoever
    answered those: what is deferred is labelled always and what is answered only where it is audited, so unweighted counts would
    be of deferred rows nearly alone. Upper bounds are those of weighted Poisson counts (R. C. Tiwari, L. X.
    Clegg and Z. Zou, "Efficient interval estimation for age-adjusted cancer rates", Statistical Methods in Medical Research 15, 2006). Thresholds are tried from the surest on, until
    the first that fails.

    Parameters
    ----------
    lately : doubts of rows that came lately, per row and level. allowed : share of all rows. delta : of the bound.
    """
    least, rows = labelled.doubts.min(axis=1), len(labelled.doubts)
    order = np.argsort(least, kind="stable")
    ends = np.cumsum(_sizes(rows))
    if not len(ends) or not len(lately):
        return CLOSED
    borders = least[order][ends - 1]
    last = np.append(np.diff(borders) > 0, True)  # rows of one doubt act together
    borders, ends = borders[last], ends[last]
    masses = np.diff(np.searchsorted(np.sort(lately.min(axis=1)), borders, side="right"), prepend=0) / len(lately)
    groups = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    standing = labelled.standing[order][: ends[-1]]
    shares = standing / np.bincount(groups, standing)[groups]
    weights = masses[groups] * shares
    scarce = masses * np.bincount(groups, shares**2)
    found = Threshold(-1.0, 0.0, borders, scarce)
    for border, end in zip(borders, ends, strict=True):
        if border >= DEAREST:
            break
        bound = _bound(weights[:end], _wrong_at(labelled, order[:end], float(border)), delta)
        if bound > allowed:
            break
        found = Threshold(float(border), bound, borders, scarce)
    return found


def _sizes(rows: int) -> NDArray[np.intp]:
    """Of groups, the surest first; what is left over is in none."""
    small = max(FEWEST, rows // GROUPS // FINER)
    large = max(FEWEST, rows // GROUPS)
    fine = min(FINE, rows // small)
    return np.array([small] * fine + [large] * ((rows - fine * small) // large), np.intp)


def _wrong_at(labelled: Labelled, rows: NDArray[np.intp], threshold: float) -> NDArray[np.bool_]:
    """Whether the first level that is sure enough is contradicted."""
    level = (labelled.doubts[rows] <= threshold).argmax(axis=1)
    made: NDArray[np.bool_] = labelled.wrong[rows, level]
    return made


def _bound(weights: Floats, wrong: NDArray[np.bool_], delta: float) -> float:
    """An upper bound of the weighted count of what is wrong; it counts one more, of average weight, than was seen."""
    from scipy.special import gammaincinv

    if not weights.any():
        return 0.0
    total = float(weights[wrong].sum() + weights.mean())
    spread = float((weights[wrong] ** 2).sum() + (weights**2).mean())
    return float(spread / total * gammaincinv(total**2 / spread, 1 - delta))
