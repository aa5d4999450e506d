"""What is believed of an arm's loss. Beliefs decide what is worth trying; what may serve is decided by proof alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

LOSSES = tuple(0.001 * 1.5**n for n in range(16))
"""0.1 % to 44 %, each as likely as the next before anything is known."""


@lru_cache(maxsize=1_000)
def belief(agreed: float, rows: int) -> Sequence[tuple[float, float]]:
    """Losses and how likely each is, after an arm has agreed in so many of so many rows.

    >>> round(sum(share for loss, share in belief(98, 100) if loss < 0.05), 2)
    0.96
    """
    logs = [agreed * math.log1p(-loss) + (rows - agreed) * math.log(loss) for loss in LOSSES]
    most = max(logs)
    likely = [math.exp(log - most) for log in logs]
    return [(loss, share / sum(likely)) for loss, share in zip(LOSSES, likely, strict=True)]
