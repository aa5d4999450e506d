"""What a random sample without replacement says of a mean, or of a ratio of two, at any of the looks at which it may end.

The first rows, the pilot, decide when the sample is looked at, and are known from then on; of the other rows each look has an
interval, and the looks share the error probability, the first of them most of it. A look's interval holds the means against which a
gambler cannot win who stakes nothing on the pilot: I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by
betting", JRSS B 86 (2024), and, for finite populations, "Confidence sequences for sampling without replacement", NeurIPS 2020. It
needs bounds of the values and no other assumption. Counts have an exact interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from .hypergeometric import count_interval

Floats = np.ndarray[Any, np.dtype[np.float64]]

DELTA = 0.05
PILOT = 100
FIRST = 0.6
"""Of the error probability, for the first look; each later one has half of what is left."""
GROWTH = 1.4
AHEAD = 1.15
"""The pilot's guess of how many rows it takes is as often too low as too high; a look that fails costs more than rows."""
ALL = 0.9
STAKE = 0.75
STEPS = 50
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a mean lies.

    >>> Interval(0.25, 0.75).margin(0.375)
    0.375
    """

    low: float
    high: float

    def margin(self, estimate: float) -> float:
        """How far from an estimate the truth may be; infinite where there is no estimate."""
        return max(self.high - estimate, estimate - self.low) if math.isfinite(estimate) else math.inf

    def within(self, other: Interval) -> Interval:
        """What both hold; this one where they have nothing in common."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else self


@dataclass(frozen=True, slots=True)
class Looked:
    """The rows asked so far, in the order in which they were drawn.

    Parameters
    ----------
    values, weights : per row; the mean is sum(values) / sum(weights) over all ``size`` rows of the population. A row that does not
        count has both 0.
    low, high : bounds of a row's value by its weight: low * weight <= value <= high * weight.
    counts : every value is 0 or 1, and every weight 1. pilot : how many of the first rows decided when to look.
    """

    values: Floats
    weights: Floats
    size: int
    low: float
    high: float
    counts: bool = False
    pilot: int = 0

    @property
    def mean(self) -> float:
        """The sample's; NaN of nothing."""
        weight = float(self.weights.sum())
        with np.errstate(invalid="ignore"):  # infinities of either sign
            return float(self.values.sum()) / weight if weight else math.nan


def delta_of(look: int) -> float:
    """The share of the error probability that a look has, the first being 1.

    >>> [round(delta_of(look), 4) for look in (1, 2, 3)], sum(map(delta_of, range(1, 60))) <= DELTA
    ([0.03, 0.01, 0.005], True)
    """
    return DELTA * (FIRST if look == 1 else (1 - FIRST) / 2 ** (look - 1))


def looks(size: int, needed: float) -> tuple[int, ...]:
    """After how many rows of ``size`` the sample is looked at once the pilot is known; the last time all have been asked.

    Parameters
    ----------
    needed : rows that the pilot expects to be enough.

    >>> looks(2000, 500.0), looks(2000, 1900.0)
    ((675, 905, 1227, 1678, 2000), (2000,))
    """
    found, rows = [], max(AHEAD * needed, PILOT / 2)
    while PILOT + rows < ALL * size:
        found.append(math.ceil(PILOT + rows))
        rows *= GROWTH
    return (*found, size)


def rows_needed(pilot: Looked, share: float) -> float:
    """How many rows besides the pilot are expected to do: by a normal distribution, or by what the gambler takes.

    >>> sample = np.array([1.0, 0.0] * 50)
    >>> round(rows_needed(Looked(sample, np.ones(100), 100_000, 0.0, 1.0, counts=True), 0.1))
    469
    """
    mean = pilot.mean
    if not math.isfinite(mean) or mean == 0 or not math.isfinite(pilot.high - pilot.low):
        return 0.0  # nothing is known: it is found out step by step
    deviation = float(np.std(pilot.values - mean * pilot.weights)) / float(pilot.weights.mean())
    delta = delta_of(1) / 2
    width = NormalDist().inv_cdf(1 - delta) if pilot.counts else math.sqrt(2 * math.log(1 / delta))
    rows = (width * deviation / (share * mean)) ** 2
    return rows / (1 + rows / pilot.size)


def interval(looked: Looked, delta: float) -> Interval:
    """Where the population's mean lies, with error probability ``delta`` at most.

    >>> sample = np.array([1.0, 0.0, 0.0, 1.0] * 50)
    >>> found = interval(Looked(sample, np.ones(200), 1000, 0.0, 1.0), 0.05)
    >>> found.low < 0.5 < found.high, found.margin(0.5) < 0.15
    (True, True)
    """
    if looked.counts:
        return _count(looked, delta)
    if not math.isfinite(looked.high - looked.low) or not looked.weights.any():
        return Interval(looked.low, looked.high)
    if looked.high <= looked.low:
        return Interval(looked.low, looked.low)
    mirrored = Looked(-looked.values, looked.weights, looked.size, -looked.high, -looked.low, pilot=looked.pilot)
    low, high = _least(looked, delta / 2), -_least(mirrored, delta / 2)
    return Interval(min(low, looked.mean), max(high, looked.mean)).within(_certain(looked))


def close_enough(found: Interval, estimate: float, share: float) -> bool:
    """Whether the truth is within that share of the estimate.

    >>> close_enough(Interval(95.0, 105.0), 100.0, 0.05), close_enough(Interval(0.0, 3.0), 0.0, 0.05)
    (True, False)
    """
    return math.isfinite(estimate) and found.margin(estimate) <= share * abs(estimate)


def _count(looked: Looked, delta: float) -> Interval:
    """The pilot's rows are known; of the others as many were drawn as nobody chose by what they say."""
    known, drawn = int(looked.values[: looked.pilot].sum()), len(looked.values) - looked.pilot
    found = int(looked.values[looked.pilot :].sum())
    least, most = count_interval(found, drawn, looked.size - looked.pilot, delta)
    return Interval((known + least) / looked.size, (known + most) / looked.size)


def _certain(looked: Looked) -> Interval:
    """What no row that is left can change, where each weighs 1."""
    if not looked.weights.all():
        return Interval(looked.low, looked.high)
    done, rest = float(looked.values.sum()), looked.size - len(looked.values)
    return Interval((done + rest * looked.low) / looked.size, (done + rest * looked.high) / looked.size)


def _least(looked: Looked, delta: float) -> float:
    """The largest mean that a gambler who bets on a larger one disproves. The larger a mean, the less is won: it is bisected."""
    stakes, enough = _stakes(looked, delta), math.log(1 / delta)
    low, high = looked.low, looked.high
    if _wealth(looked, stakes, low) < enough:
        return low
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _wealth(looked, stakes, middle) >= enough:
            low = middle
        else:
            high = middle
    return low


def _wealth(looked: Looked, stakes: Floats, mean: float) -> float:
    """The logarithm of the most that the gambler ever had, betting against ``mean``."""
    z = looked.values - mean * looked.weights
    before = np.cumsum(z) - z
    left = looked.size - np.arange(len(z))
    # The rows that are left make up for those that were asked: over all rows, z sums to zero.
    factors = 1 + stakes * (z + before / left)
    return float(np.cumsum(np.log(np.maximum(factors, _LEAST))).max())


def _stakes(looked: Looked, delta: float) -> Floats:
    """What to stake on each row, by the spread of the rows before it."""
    span, count = looked.high - looked.low, len(looked.values)
    value, weight = np.cumsum(looked.values) - looked.values, np.cumsum(looked.weights) - looked.weights
    start = (looked.low + looked.high) / 2
    means = (value + start) / (weight + 1)
    residuals = np.minimum(np.abs(looked.values - means * looked.weights), span) ** 2
    number = np.arange(1, count + 1)
    variance = (span * span / 4 + np.cumsum(residuals) - residuals) / number
    stakes = np.sqrt(2 * math.log(1 / delta) / (max(1, count - looked.pilot) * variance))
    bounded: Floats = np.where(np.arange(count) < looked.pilot, 0.0, np.minimum(stakes, STAKE / span))
    return bounded
