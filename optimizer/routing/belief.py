"""Whether an arm's answer is the reference's: a logistic regression with its uncertainty, learnt row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

STEEP = 30.0
"""Log-odds are cut off there."""
KEEP = 0.998
"""What a row weighs after the next: the mean of about 500 rows counts, so that what changes is learnt anew."""


class Belief:
    """Gaussian beliefs about the weights of a logistic regression, by one step of Newton's method a row.

    That is the extended Kalman filter for a Bernoulli response; L. Fahrmeir, "Posterior mode estimation by extended Kalman filtering
    for multivariate dynamic generalized linear models", JASA 87 (1992).

    Parameters
    ----------
    spread : per weight, the standard deviation that is believed of it before any row is seen.

    >>> belief = Belief(np.array([2.0, 2.0]))
    >>> for at in range(200):
    ...     belief.see(np.array([1.0, at % 2]), at % 2 == 1)
    >>> bool(belief.share(np.array([1.0, 1.0])) > 0.9 > 0.1 > belief.share(np.array([1.0, 0.0])))
    True
    """

    def __init__(self, spread: Floats) -> None:
        self._prior = np.diag(np.square(spread))
        self.mean = np.zeros(len(self._prior))
        self.doubt()

    def doubt(self) -> None:
        """Be as unsure of it as before any row was seen: what comes next decides."""
        self._covariance = self._prior.copy()

    def share(self, features: Floats) -> float:
        """How likely the answers are to agree."""
        return likely(self.mean, features)

    def see(self, features: Floats, agreed: bool) -> None:
        """One more row."""
        # Forgetting moves back towards the prior, never beyond it: what no row tells of stays as wide as it was.
        covariance = KEEP * self._covariance + (1.0 - KEEP) * self._prior
        share = self.share(features)
        seen = covariance @ features
        gain = seen / (1.0 / max(share * (1.0 - share), 1e-4) + features @ seen)
        self._covariance = covariance - np.outer(gain, seen)
        self.mean = self.mean + self._covariance @ features * (float(agreed) - share)

    def draw(self, chance: np.random.Generator, width: float) -> Floats:
        """Weights as they may be (Thompson sampling); ``width`` : 1 draws from the beliefs, 0 takes their mean."""
        root = np.linalg.cholesky(self._covariance + 1e-9 * np.eye(len(self.mean)))
        return np.asarray(self.mean + width * (root @ chance.standard_normal(len(self.mean))))


def likely(weights: Floats, features: Floats) -> float:
    """The share that weights give.

    >>> likely(np.zeros(2), np.ones(2))
    0.5
    """
    odds = min(STEEP, max(-STEEP, float(weights @ features)))
    return float(1.0 / (1.0 + np.exp(-odds)))
