"""What a random sample proves of how many rows of a set are wrong: a bet whose winnings may be looked at after every row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .certificate import Floats, Rows

Numbers = np.ndarray[Any, np.dtype[Any]]

TRIED = 40
"""Sizes of sample at which a forecast is made."""


@dataclass(frozen=True, slots=True)
class Claim:
    """That at most ``allowed`` of ``size`` rows are wrong, which rows drawn without replacement shall prove.

    Whoever bets on each draw by a mixture over all shares of wrong rows below ``ceiling`` multiplies their stake by the ratio of
    two probabilities of what was drawn: the mixture's, and that of draws without replacement from a set with d wrong rows. If there
    are d, the stake ever grows 1/δ-fold with probability δ at most (Ville's inequality): so the sample may be looked at, and end,
    at any time. The claim is proved once the bet against every d > ``allowed`` has grown so far; the least of them is the hardest.
    I. Waudby-Smith and A. Ramdas, "Confidence sequences for sampling without replacement", NeurIPS 2020, with a truncated prior.

    Parameters
    ----------
    ceiling : must be fixed before the first draw that counts. It decides how soon a claim is proved, not whether the proof holds.
    delta : probability that a false claim is proved, ever.

    >>> claim = Claim(size=1000, allowed=100, ceiling=0.1, delta=0.1)
    >>> claim.proved(20, 0), claim.proved(60, 0), claim.proved(60, 3)
    (False, True, False)
    """

    size: int
    allowed: int
    ceiling: float
    delta: float

    @property
    def free(self) -> bool:
        """Nothing need be drawn: all of them may be wrong."""
        return self.allowed >= self.size

    def proved(self, drawn: int, wrong: int) -> bool:
        """Whether so many wrong ones in so many draws prove it."""
        return self.free or bool(self._log_winnings(np.array([drawn]), np.array([wrong]))[0] >= -math.log(self.delta))

    def expected(self, drawn: int, wrong: int) -> int | None:
        """How many draws it takes in all, if later ones are wrong about as often; ``None``: it is not to be expected.

        Half a standard deviation is forgiven, or those who had bad luck early would give up too often.
        """
        share = wrong / max(1, drawn)
        share = max(0.0, share - 0.5 * math.sqrt(share * (1 - share) / max(1, drawn)))
        sizes = self._later(drawn)
        return self._first(sizes, wrong + share * (sizes - drawn))

    @property
    def soonest(self) -> int:
        """How many draws prove it, about, if none is ever wrong."""
        sizes = self._later(1)
        return 0 if self.free else self._first(sizes, np.zeros(len(sizes))) or self.size

    def _later(self, drawn: int) -> Rows:
        steps = np.linspace(0.0, 1.0, TRIED)
        return np.asarray(np.ceil(max(1, drawn) * (self.size / max(1, drawn)) ** steps), np.int64).clip(1, self.size)

    def _first(self, drawn: Rows, wrong: Numbers) -> int | None:
        found = np.flatnonzero(self._log_winnings(drawn, wrong) >= -math.log(self.delta))
        return int(drawn[found[0]]) if found.size else None

    def _log_winnings(self, drawn: Rows, wrong: Numbers) -> Floats:
        from scipy.special import betainc, betaln  # takes a quarter of a second

        against = self.allowed + 1
        left, bad_left = self.size - drawn, against - wrong
        fair = _log_ways(left, np.clip(bad_left, 0, left)) - _log_ways(self.size, against)
        mixed = betaln(wrong + 1, drawn - wrong + 1) - math.log(self.ceiling)
        inside = betainc(wrong + 1, drawn - wrong + 1, self.ceiling)
        with np.errstate(divide="ignore"):
            winnings = np.log(inside) + mixed - fair
        # Above their share the least forbidden number is not the hardest to bet against; nothing is proved there.
        winnings = np.where(wrong * self.size >= drawn * against, 0.0, winnings)
        # More are left over than there are rows: that many wrong ones are impossible; or: more were found than are allowed.
        return np.where(bad_left <= 0, 0.0, np.where(bad_left > left, np.inf, winnings))


def _log_ways(size: Rows | int, chosen: Numbers | int) -> Floats:
    from scipy.special import gammaln

    ways: Floats = gammaln(size + 1) - gammaln(chosen + 1) - gammaln(np.subtract(size, chosen) + 1)
    return ways
