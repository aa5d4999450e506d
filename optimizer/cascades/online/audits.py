"""Whom the reference answers for the sake of proof alone, and what their answers prove at any time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STAKES = np.geomspace(0.1, 6.0, 10)
"""Exponents of the mixture; small ones for long streams with many disagreements, large ones for none."""
WEIGHTS = STAKES**0.5 / (STAKES**0.5).sum()


def is_audited(key: str | bytes, share: float, seed: int) -> bool:
    """Whether a row is audited: by its key alone, so that it is decided before anybody has seen what students make of it, and a
    rerun asks about the same rows.

    >>> is_audited("row 1", 1.0, 0), is_audited("row 1", 0.02, 0)
    (True, False)
    """
    own = key if isinstance(key, bytes) else key.encode("utf-8", "surrogatepass")
    drawn = hashlib.blake2b(own, digest_size=8, key=f"audit {seed}".encode()).digest()
    return int.from_bytes(drawn, "big") < share * 2**64


@dataclass(slots=True)
class Audits:
    """How many of a policy's answers the reference would contradict, bounded at any time from those that an audit contradicts.

    Of the ``D`` rows that the policy would answer otherwise than the reference, whenever they come and however the policy changes,
    each is audited with probability e, independently of it. With ``S`` audited ones of them,
    ``exp(λ S) / (1 + e (exp(λ) − 1)) ** D`` is a martingale of mean 1 for each λ, and so is a mixture of several; by Ville's
    inequality it exceeds ``1 / δ`` at any time with probability δ at most. So all ``D`` at which it does are ruled out. Nothing is
    assumed of the rows: these may drift, and be sorted.

    Parameters
    ----------
    share : e. rows : so far. contradicted : of the audited ones, by the reference.

    >>> [round(x, 4) for x in Audits(0.02, rows=20_000).rates(0.05)]
    [0.0, 0.0105]
    """

    share: float
    rows: int = 0
    contradicted: int = 0

    def see(self, rows: int, contradicted: int) -> None:
        """More rows of the population (answered by the policy or not), and how many audits among them contradicted it."""
        self.rows += rows
        self.contradicted += contradicted

    def totals(self, delta: float) -> tuple[int, int]:
        """The fewest and the most disagreements there may be among the rows so far, with probability 1 − ``delta`` for ever."""
        limit = math.log(2 / delta)
        least = _first(self.contradicted, self.rows, lambda d: self._log_mixture(d, 1.0) < limit)
        most = _first(self.contradicted, self.rows + 1, lambda d: self._log_mixture(d, -1.0) >= limit) - 1
        return least, max(most, self.contradicted)

    def rates(self, delta: float) -> tuple[float, float]:
        """:meth:`totals` as shares of the rows; (0, 1) of none."""
        least, most = self.totals(delta)
        return (least / self.rows, min(1.0, most / self.rows)) if self.rows else (0.0, 1.0)

    def _log_mixture(self, disagreements: int, sign: float) -> float:
        stakes = sign * STAKES
        logs = stakes * self.contradicted - disagreements * np.log1p(self.share * np.expm1(stakes))
        return float(np.logaddexp.reduce(logs + np.log(WEIGHTS)))


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first number from ``low`` on at which a monotone condition holds; ``high`` if it does nowhere before."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
