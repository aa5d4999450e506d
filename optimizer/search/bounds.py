"""What a sample proves of a mean between 0 and 1: a test that may be looked at after every row, and Wilson's interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

STAKES = np.array([0.35, 0.65, 0.92])
"""Shares of what may be staked without ruin: the larger win soonest against arms that nearly always agree."""
WEIGHTS = np.array([0.25, 0.35, 0.4])


def wilson(successes: float, n: float, z: float = 1.645) -> tuple[float, float]:
    """Wilson's score interval of a share; ``z = 1.645`` is 90 %, both sides.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).

    >>> [round(x, 3) for x in wilson(9, 10)]
    [0.652, 0.977]
    >>> wilson(0, 0)
    (0.0, 1.0)
    """
    if n <= 0:
        return (0.0, 1.0)
    share, square = successes / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return (max(0.0, middle - half), min(1.0, middle + half))


@dataclass(slots=True)
class Bet:
    """A wager against "the mean is at most ``least``" (or, ``above=False``, at least): wealth far above 1 disproves it.

    The wealth of a fair gambler exceeds ``1 / delta`` with probability ``delta`` at most, ever (Ville's inequality), so it may
    be looked at after each row and the sample may end when it does. I. Waudby-Smith and A. Ramdas, "Estimating means of
    bounded random variables by betting", JRSS B 86 (2024); stakes are their predictable plug-in, truncated at 3/4.

    Parameters
    ----------
    least : the mean that is bet against, 0 < ``least`` < 1. delta : probability of being wrong that stakes are made for.
    above : bet that the mean is above ``least``.
    """

    least: float
    delta: float
    above: bool = True
    n: int = 0
    log_wealth: float = 0.0
    _sum: float = field(default=0.5, repr=False)
    _squares: float = field(default=0.25, repr=False)

    def see(self, x: float) -> None:
        """One more row, 0 <= ``x`` <= 1."""
        self.n += 1
        variance = self._squares / self.n
        stake = math.sqrt(2 * math.log(2 / self.delta) / (self.n * math.log(self.n + 1) * max(variance, 1e-9)))
        gain = (x - self.least) if self.above else (self.least - x)
        stake = min(stake, 0.75 / (self.least if self.above else 1 - self.least))
        self.log_wealth += math.log1p(stake * gain)
        self._sum += x
        self._squares += (x - self._sum / (self.n + 1)) ** 2

    def won(self, delta: float | None = None) -> bool:
        """Whether the claim is disproved with error probability ``delta`` (its own, if not given)."""
        return self.log_wealth >= math.log(1 / (self.delta if delta is None else delta))


class Proof:
    """How large a loss (1 − mean) can be at most, as far as rows have proved by now.

    Against each of some losses several gamblers bet with fixed stakes; together they are one gambler, so what is disproved is
    wrong with probability ``delta`` at most, over all losses and however often one looks. Over all losses, because a gambler
    who bets against a smaller loss never has more than one who bets against a larger: false claims are within one another.

    Parameters
    ----------
    losses : that may be proved, each between 0 and 1. delta : probability of being wrong.

    >>> proof = Proof([0.05, 0.1], 0.05)
    >>> for _ in range(50):
    ...     proof.see(1.0)
    >>> proof.loss
    0.1
    """

    __slots__ = ("_earlier", "_losses", "_of_each", "_proved", "_returns", "_wealth", "delta", "enough", "n")

    def __init__(self, losses: Sequence[float], delta: float) -> None:
        self.delta, self.n, self.enough = delta, 0, max(losses)
        self._earlier, self._of_each = 0.0, np.zeros((len(losses), len(STAKES)))
        self._losses = np.array(sorted(losses))
        self._returns = STAKES / (1.0 - self._losses)[:, None]
        self._wealth = np.tile(np.log(WEIGHTS), (len(losses), 1))
        self._proved = 1.0

    def credit(self, agreed: float, rows: float) -> None:
        """Start with what gamblers would own after earlier rows. Each row to come takes the place of one of these, so that a row
        that is seen again counts once. Of agreement in part it is what they own at least (a logarithm is concave)."""
        won = agreed * np.log1p(self._returns - STAKES) + (rows - agreed) * np.log1p(-STAKES)
        self._wealth, self._earlier, self._of_each = self._wealth + won, rows, won / rows
        self._look()

    def see(self, x: float) -> None:
        """One more row, 0 <= ``x`` <= 1."""
        self.n += 1
        self._wealth += np.log1p(self._returns * x - STAKES)
        if self._earlier > 0:
            self._wealth -= self._of_each * min(1.0, self._earlier)
            self._earlier -= 1
        self._look()

    def _look(self) -> None:
        won = self._losses[np.logaddexp.reduce(self._wealth, axis=1) >= -math.log(self.delta)]
        if len(won):
            self._proved = min(self._proved, float(won[0]))

    @property
    def loss(self) -> float:
        """The smallest that has been proved; 1 while there is none."""
        return self._proved

    def won(self) -> bool:
        """Whether as small a loss is proved as is :attr:`enough` by now."""
        return self._proved <= self.enough

    def to_go(self, losses: Floats, true: Floats) -> Floats:
        """About how many more rows prove each of some losses, for each that may be true; infinite where none do."""
        return np.stack([self._rows_to_go(float(loss), true) for loss in losses])

    def _rows_to_go(self, loss: float, true: Floats) -> Floats:
        at = int(np.argmin(np.abs(self._losses - loss)))
        done = min(1.0, max(0.0, float(np.logaddexp.reduce(self._wealth[at])) / -math.log(self.delta)))
        if done >= 1.0 or self._proved <= loss:
            return np.zeros(len(true))
        return (1.0 - done) * bets_to_win(loss, self.delta, true)


@lru_cache(maxsize=20_000)
def rows_to_win(least: float, delta: float, mean: float) -> float:
    """About how many more rows of such a ``mean`` a :class:`Proof` needs; infinite if it is not above ``least``.

    >>> round(rows_to_win(0.9, 0.05, 1.0))
    40
    >>> rows_to_win(0.9, 0.05, 0.9)
    inf
    """
    if mean <= least:
        return math.inf
    stake = min(float(STAKES[-1]), max(float(STAKES[0]), (mean - least) / (1 - least)))
    growth = mean * math.log1p(stake / least - stake) + (1 - mean) * math.log1p(-stake)
    return (math.log(1 / delta) - math.log(float(WEIGHTS[-1]))) / growth if growth > 0 else math.inf


def bets_to_win(loss: float, delta: float, true: Floats) -> Floats:
    """:func:`rows_to_win`, for each of some true losses."""
    return np.array([rows_to_win(1 - loss, delta, 1 - float(each)) for each in true])
