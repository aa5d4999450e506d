"""A number that nobody knows exactly: its likeliest value, between what it lies in nine cases of ten, and who says so.

Unknown is ``None``, never a made-up number; a number without an interval has ``low is None``: it is a stated guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from ..search.bounds import wilson

Z = NormalDist().inv_cdf(0.95)
"""Of a 90 % interval, both sides."""
INSTANT = 0.001
"""Seconds that nobody waits for."""
FEWEST = 4
"""Observations of which a spread is told."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and where it comes from, in words that EXPLAIN prints.

    Parameters
    ----------
    value : the likeliest. source : ``prior: …``, ``sample of 2,000 rows``, ``statistics of 400 answers, 2026-11-23``, …
    low, high : its 90 % interval; equal to ``value`` where it was counted, ``None`` where nobody can tell.
    """

    value: float
    source: str
    low: float | None = None
    high: float | None = None

    @property
    def range(self) -> str:
        """For people, ``""`` if it is exact or not known.

        >>> Figure(410.0, "statistics", 380.0, 450.0).range, Figure(4.0, "exact count", 4.0, 4.0).range
        ('380 to 450', '')
        """
        return "" if self.low is None or self.high is None or self.low == self.high else spread(self.low, self.high)

    def times(self, other: Figure) -> Figure:
        """Of two independent factors: relative errors add in quadrature, of logarithms."""
        value, source = self.value * other.value, joined(self.source, other.source)
        if self.low is None or other.low is None or self.high is None or other.high is None:
            return Figure(value, source)
        down = math.hypot(_ratio(self.value, self.low), _ratio(other.value, other.low))
        up = math.hypot(_ratio(self.high, self.value), _ratio(other.high, other.value))
        # A factor that may be nothing has no logarithm, but the product is known then.
        low = 0.0 if math.isinf(down) else value * math.exp(-down)
        high = self.high * other.high if math.isinf(up) else value * math.exp(up)
        return Figure(value, source, low, high)

    def plus(self, other: Figure) -> Figure:
        """And a number that is large where this one is.

        >>> Figure(10.0, "a", 7.0, 14.0).plus(Figure(10.0, "b", 6.0, 13.0))
        Figure(value=20.0, source='a; b', low=13.0, high=27.0)
        """
        low = None if self.low is None or other.low is None else self.low + other.low
        high = None if self.high is None or other.high is None else self.high + other.high
        return Figure(self.value + other.value, joined(self.source, other.source), low, high)

    def scaled(self, factor: float, source: str = "") -> Figure:
        """Times a number that is known."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Figure(self.value * factor, joined(self.source, source), low, high)


def legible(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table for people: measured numbers with the four digits that mean something.

    >>> legible({"arm": "small", "seconds_a_row": 0.04000647912448585, "rows": 64})
    {'arm': 'small', 'seconds_a_row': 0.04001, 'rows': 64}
    """
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in row.items()}


def exactly(value: float, source: str) -> Figure:
    """What was counted, or is given."""
    return Figure(value, source, value, value)


def guess(value: float, source: str, factor: float) -> Figure:
    """A stated guess that may be so many times too small or too large."""
    return Figure(value, source, value / factor, value * factor)


def total(figures: Iterable[Figure], source: str = "") -> Figure:
    """The sum of independent numbers: errors add in quadrature.

    >>> total([Figure(10.0, "a", 7.0, 14.0), Figure(10.0, "b", 6.0, 13.0)])
    Figure(value=20.0, source='a; b', low=15.0, high=25.0)
    """
    made = list(figures)
    value, source = math.fsum(f.value for f in made), source or joined(*(f.source for f in made))
    lows, highs = [f.low for f in made], [f.high for f in made]
    if None in lows or None in highs:
        return Figure(value, source)
    down = math.hypot(*(f.value - low for f, low in zip(made, lows, strict=True) if low is not None))
    up = math.hypot(*(high - f.value for f, high in zip(made, highs, strict=True) if high is not None))
    return Figure(value, source, value - down, value + up)


def share(successes: float, n: float, source: str) -> Figure:
    """Of ``n`` observations (Wilson's interval)."""
    return Figure(successes / n, source, *wilson(successes, n, Z))


def mean(n: float, added: float, squares: float, source: str, further: float = math.inf) -> Figure:
    """The mean of what ``n`` observations had, by their sum and their sum of squares (Student's t).

    Parameters
    ----------
    further : the mean of so many observations to come is meant; that of few strays itself.
    """
    value = added / n
    if n < 2:
        return Figure(value, source)
    variance = max(0.0, squares - n * value * value) / (n - 1)
    half = student(n - 1) * math.sqrt(variance * (1 / n + 1 / further))
    return Figure(value, source, max(0.0, value - half), value + half)


def student(freedom: float) -> float:
    """The 95 % point of Student's t, by Cornish and Fisher's expansion (within 1 % from 3 degrees of freedom).

    >>> round(student(10), 2), round(student(3), 1)
    (1.81, 2.3)
    """
    z = Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def joined(*sources: str) -> str:
    """Sources, each once."""
    return "; ".join(dict.fromkeys(part for source in sources for part in source.split("; ") if part))


def dollars(money: Figure) -> str:
    """For people.

    >>> dollars(Figure(0.41, "statistics", 0.38, 0.45))
    '$0.4100 (0.38 to 0.45)'
    """
    return f"${money.value:,.4f}" + (f" ({money.range})" if money.range else "")


def duration(seconds: Figure) -> str:
    """For people.

    >>> duration(Figure(4.126, "statistics", 3.9, 4.4))
    '4.1 s (3.9 to 4.4)'
    """
    if seconds.value < INSTANT:
        return "0.001 s or less"
    likeliest = f"{seconds.value:,.2g} s" if seconds.value < 1 else f"{seconds.value:,.1f} s"
    return likeliest + (f" ({seconds.range})" if seconds.range else "")


def spread(low: float, high: float) -> str:
    """``low to high``, both with as many decimals as tell them apart.

    >>> spread(0.38, 0.45), spread(12.0, 1250.4)
    ('0.38 to 0.45', '12 to 1,250')
    """
    digits = 0 if high >= 100 else max(0, 1 - math.floor(math.log10(high))) if high > 0 else 0
    return f"{low:,.{digits}f} to {high:,.{digits}f}"


def _ratio(more: float, less: float) -> float:
    if more == less:
        return 0.0
    return math.log(more / less) if less > 0 else math.inf
