"""What the answers of one arm really cost, of late and as usual."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import fmean

BLOCK = 16
"""Answers whose mean is looked at together: one slow answer is no news."""
LATE = 64
Z = 1.645
"""Half the width of a 90 % interval, in standard errors."""
WORTH_SAYING = 0.1
"""A mean that is off by less is no surprise, however sure it is."""


@dataclass(slots=True)
class Spending:
    """Costs of answers in the order in which they are told, each in proportion to what was expected of it.

    Attributes
    ----------
    surprised : the last block's mean was outside the 90 % interval in which it is expected after those before.
    before : the mean of those; ``None``: there are none.

    >>> spending = Spending()
    >>> for cost in [1.0] * 32 + [3.0] * 16:
    ...     spending.add(cost)
    >>> spending.surprised, spending.level, spending.before
    (True, 3.0, 1.0)
    """

    surprised: bool = False
    before: float | None = None
    _late: deque[float] = field(default_factory=lambda: deque(maxlen=LATE))
    _block: list[float] = field(default_factory=list)
    _n: int = 0
    _mean: float = 0.0
    _squares: float = 0.0

    def add(self, cost: float) -> None:
        """One more answer."""
        self._late.append(cost)
        self._block.append(cost)
        if len(self._block) == BLOCK:
            self._close()

    @property
    def level(self) -> float | None:
        """The mean of late; ``None``: nothing is known."""
        return fmean(self._late) if self._late else self.usual

    @property
    def usual(self) -> float | None:
        """The mean of all, but for an unfinished block."""
        return self._mean if self._n else None

    def forget(self) -> None:
        """What was of late says nothing of now: it may be as usual again."""
        self.surprised = False
        self._late.clear()
        self._block.clear()

    def _close(self) -> None:
        self.before, self.surprised = self.usual, self._beyond(fmean(self._block))
        if self.surprised:
            # What was before says nothing of now.
            self._late.clear()
            self._late.extend(self._block)
        for cost in self._block:
            self._absorb(cost)
        self._block.clear()

    def _beyond(self, mean: float) -> bool:
        off = abs(mean - self._mean)
        if self._n < BLOCK or off <= WORTH_SAYING * self._mean:
            return False
        return off > Z * math.sqrt(self._squares / (self._n - 1) * (1 / BLOCK + 1 / self._n))

    def _absorb(self, cost: float) -> None:
        """Welford's sums ("Note on a method for calculating corrected sums of squares", Technometrics 4, 1962)."""
        self._n += 1
        step = cost - self._mean
        self._mean += step / self._n
        self._squares += step * (cost - self._mean)
