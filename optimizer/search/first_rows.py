"""What it takes to prove that a cheap screen loses few of the rows that stand first: pure, it knows numbers of rows only.

A screen leaves candidates, all of which the reference scores. Of the other rows a random sample is scored, too. Rows that score at least as
much as a bar (that of some candidate well behind the first ones) are the *top*; how many of them are not candidates is what the sample tells.
One assumption makes of it what is wanted: the first rows are among those that the screen loses no more often than the other rows of
the top. Without it, no sample short of nearly all rows could tell of ten.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Any

import numpy as np

from .hypergeometric import log_ways

CANDIDATES = (0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4)
"""Shares of the rows."""
TOPS = (0.25, 0.35, 0.5, 0.7)
"""Shares of the candidates."""
WORTHWHILE = 0.85
"""Of what the reference alone costs, at most: what is expected of so small a saving is mostly error."""
POINTS = 24
SIZES = 64
_HEIGHTS = 16
_NORMAL = NormalDist()
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Aim:
    """What is wanted.

    Parameters
    ----------
    wanted : rows that come first. allowed : of these so many may be lost. delta : probability of being wrong.
    """

    wanted: int
    allowed: int
    delta: float


@dataclass(frozen=True, slots=True)
class Screening:
    """A way to go: so many candidates, the bar at the ``top``-th of them, a sample of ``drawn`` others; ``cost`` in scores of the reference."""

    candidates: int
    top: int
    drawn: int
    cost: float


def error(seen: int, drawn: int, others: int, top: int, aim: Aim, points: int = 0) -> float:
    """How likely it is, at most, that a sample shows so few rows of the top although too many first rows are lost.

    If ``L`` of the other rows belong to the top, the sample shows as many of them as a draw without replacement has, and the first
    rows are at worst any of the ``top + L``. What the sample shows is lost no more. The worst ``L`` counts.

    Parameters
    ----------
    seen : rows of the top in a sample of ``drawn`` of the ``others``. top : those that are candidates.
    points : of so many ``L`` only, which is less of a proof, but enough for plans; 0: of all.

    >>> aim = Aim(10, 1, 0.05)
    >>> error(0, 250, 850, 60, aim) < 0.05 < error(0, 150, 850, 60, aim)
    True
    >>> error(0, 850, 850, 60, aim)
    0.0
    """
    if drawn >= others:
        return 0.0
    first, last = aim.allowed + 1, _most(seen, drawn, others, aim.delta)
    lost = np.arange(first, last + 1)
    if 0 < points < len(lost):
        lost = np.unique(np.geomspace(first, last, points).astype(np.int64))
    shown = np.arange(seen + 1)[:, None]
    sampled, unseen = _drawn(shown, drawn, lost, others), np.maximum(lost - shown, 0)
    few = sum(_drawn(x, aim.wanted, unseen, top + lost) for x in range(aim.allowed + 1))
    wrong = np.where(unseen > aim.allowed, np.maximum(0.0, 1.0 - few), 0.0)
    return float((sampled * wrong).sum(axis=0).max(initial=0.0))


def draws_needed(seen: int, others: int, top: int, aim: Aim) -> int:
    """About the smallest sample that proves enough, if it shows ``seen`` rows of the top.

    >>> draws_needed(0, 850, 60, Aim(10, 1, 0.05)) in range(150, 250)
    True
    """
    sizes = np.unique([*np.geomspace(1, others, SIZES).astype(int), others])
    return int(
        sizes[bisect_left(sizes, True, key=lambda n: error(seen, int(n), others, top, aim, POINTS) <= aim.delta)]
    )


def best(rows: int, correlation: float, price: float, aim: Aim) -> Screening | None:
    """The cheapest way that is expected to prove enough; ``None``: none is worth it.

    Parameters
    ----------
    correlation : of the screen's scores and the reference's, as if both were normal. price : of a screen's score, in the reference's.

    >>> best(300, 0.0, 0.05, Aim(10, 1, 0.025)) is None
    True
    >>> (found := best(10_000, 0.95, 0.05, Aim(10, 1, 0.025))) is not None and found.cost < 3_000
    True
    """
    cheapest: Screening | None = None
    for share in CANDIDATES:
        ways = (_way(rows, share, part, correlation, price, aim) for part in TOPS)
        fits = [way for way in ways if way is not None and (cheapest is None or way.cost < cheapest.cost)]
        cheapest = min(fits, key=lambda way: way.cost, default=cheapest)
        if cheapest is not None and price * rows + share * rows > cheapest.cost:
            break
    return None if cheapest is None or cheapest.cost > WORTHWHILE * rows else cheapest


def _way(rows: int, share: float, part: float, correlation: float, price: float, aim: Aim) -> Screening | None:
    candidates = math.ceil(share * rows)
    top = int(part * candidates)
    if top < aim.wanted:
        return None
    share_lost = 0.0
    for _ in range(3):  # the top is larger by what is lost of it
        share_lost = loss(candidates / rows, min(0.5, top / rows / (1.0 - share_lost)), correlation)
    lost, others = top * share_lost / (1.0 - share_lost), rows - candidates
    drawn = draws_needed(0, others, top, aim)
    for _ in range(2):  # a larger sample shows more
        shown = lost * drawn / others
        drawn = draws_needed(math.ceil(shown + math.sqrt(shown) - 0.5), others, top, aim)
    return Screening(candidates, top, drawn, price * rows + candidates + drawn)


def loss(candidates: float, top: float, correlation: float) -> float:
    """The share of the top (a share of all rows) that is not among the candidates, if both scores are normal.

    >>> round(loss(0.1, 0.05, 0.9), 2), loss(0.1, 0.05, 1.0)
    (0.14, 0.0)
    """
    cut, spread = _NORMAL.inv_cdf(1.0 - candidates), math.sqrt(max(1e-9, 1.0 - correlation**2))
    heights = (_NORMAL.inv_cdf(1.0 - (point + 0.5) / _HEIGHTS * top) for point in range(_HEIGHTS))
    return round(fmean(_NORMAL.cdf((cut - correlation * height) / spread) for height in heights), 6)


def correlated(first: Floats, second: Floats) -> float:
    """Spearman's correlation as that of normal scores, less a standard error: it plans, and a disappointment costs more.

    >>> round(correlated(np.arange(64.0), np.arange(64.0)), 3)
    1.0
    """
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    spearman = float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])
    normal = 2.0 * math.sin(math.pi * spearman / 6.0)
    return max(0.0, normal - (1.0 - normal**2) / math.sqrt(len(first)))


def _ranks(values: Floats) -> Floats:
    """Equal values share the mean of their ranks."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends: Floats = np.cumsum(counts) - (counts - 1) / 2.0
    return ends[at]


def _most(seen: int, drawn: int, others: int, delta: float) -> int:
    """With more rows than this, so few are shown with probability ``delta`` at most (Chernoff's bound): they need no look."""
    log = math.log(1.0 / delta)
    mean = seen + log + math.sqrt(log * log + 2.0 * seen * log)
    return min(others, math.ceil(mean * others / max(1, drawn)))


def _drawn(shown: Any, draws: int, good: Any, size: Any) -> Floats:
    """P(so many good ones are drawn without replacement), by the number of good ones."""
    rest = draws - shown
    possible = (good >= shown) & (size - good >= rest)
    some, others = np.where(possible, good, shown), np.where(possible, size - good, rest)
    ways = log_ways(some, shown) + log_ways(others, rest) - log_ways(some + others, draws)
    return np.where(possible, np.exp(ways), 0.0)
