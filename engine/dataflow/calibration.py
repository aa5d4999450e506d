"""Service times learnt from finished calls: least squares in which older calls count less and less.

Recursive least squares with exponential forgetting (Åström and Wittenmark, "Adaptive Control", 1989), kept as the
weighted sums of the normal equations: five additions a call, and no matrix.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from .resources import Service

FORGETTING = 0.995
"""Weight of a call against the one after it: the last 200 calls decide."""
REMEMBERED = 20.0
"""Weight of all that was learnt before this process, in calls: it is where the estimate starts, and soon outweighed."""
SPREAD = 1e-9
"""Relative variance of the units under which no slope is read out of them."""


class Calibration:
    """A running estimate of ``alpha + beta · units``.

    Attributes
    ----------
    calls : that it was learnt from, remembered ones included.

    >>> times = Calibration()
    >>> for tokens in (100, 200, 300):
    ...     times.observe(tokens, 0.2 + 0.001 * tokens)
    >>> round(times.service().seconds(400), 6)
    0.6
    """

    __slots__ = ("_forgetting", "_w", "_x", "_xx", "_xy", "_y", "_yy", "calls")

    def __init__(self, forgetting: float = FORGETTING) -> None:
        self._forgetting = forgetting
        self._w = self._x = self._y = self._xx = self._xy = self._yy = 0.0
        self.calls = 0

    @classmethod
    def of(cls, calls: Iterable[tuple[float, float]]) -> Calibration:
        """Learnt from (units, seconds), the oldest first."""
        learnt = cls()
        for units, seconds in calls:
            learnt.observe(units, seconds)
        return learnt

    def remember(self, calls: Iterable[tuple[float, float]]) -> None:
        """Begin with what another process has measured: (units, seconds), the oldest first. Only before the first call."""
        if self.calls:
            return
        for units, seconds in calls:
            self.observe(units, seconds)
        share = min(1.0, REMEMBERED / self._w) if self._w else 1.0
        self._w, self._x, self._y = share * self._w, share * self._x, share * self._y
        self._xx, self._xy, self._yy = share * self._xx, share * self._xy, share * self._yy

    def observe(self, units: float, seconds: float) -> None:
        """A call has ended."""
        keep = self._forgetting
        self.calls += 1
        self._w = keep * self._w + 1
        self._x = keep * self._x + units
        self._y = keep * self._y + seconds
        self._xx = keep * self._xx + units * units
        self._xy = keep * self._xy + units * seconds
        self._yy = keep * self._yy + seconds * seconds

    def service(self) -> Service:
        """The estimate; all zero before the first call. Neither part is ever negative."""
        if not self._w:
            return Service()
        x, y = self._x / self._w, self._y / self._w
        xx, xy = self._xx / self._w - x * x, self._xy / self._w - x * y
        beta = max(0.0, xy / xx) if xx > SPREAD * x * x else 0.0
        if beta * x > y:  # the line would start below zero: the one through the origin fits best then
            beta = self._xy / self._xx
        alpha = max(0.0, y - beta * x)
        return Service(alpha, beta, self._jitter(alpha, beta, y))

    def _jitter(self, alpha: float, beta: float, mean: float) -> float:
        if mean <= 0:
            return 0.0
        squares = (
            self._yy - 2 * alpha * self._y - 2 * beta * self._xy
            + self._w * alpha * alpha + 2 * alpha * beta * self._x + beta * beta * self._xx
        )  # fmt: skip
        return math.sqrt(math.log1p(max(0.0, squares / self._w) / (mean * mean)))
