"""What is believed of an arm's loss. Beliefs decide what is worth trying; what may serve is decided by proof alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .bounds import Floats

LOSSES: Floats = np.array([0.001 * 1.5**n for n in range(16)])
"""0.1 % to 44 %, each as likely as the next before anything is known."""


@lru_cache(maxsize=1_000)
def belief(agreed: float, rows: float) -> Floats:
    """How likely each of the :data:`LOSSES` is, after an arm has agreed in so many of so many rows.

    >>> round(float(belief(98, 100)[LOSSES < 0.05].sum()), 2)
    0.96
    """
    logs = agreed * np.log1p(-LOSSES) + (rows - agreed) * np.log(LOSSES)
    likely = np.exp(logs - logs.max())
    shares: Floats = likely / likely.sum()
    return shares
