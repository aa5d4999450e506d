"""What a hold-out says of a proxy that was tested on it: how often it agrees, and which share of rows it may answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 20
"""Shares of rows that are looked at, the surest rows first."""


def proven_share(certainties: NDArray[np.float64], agreed: NDArray[np.bool_], target: float, delta: float) -> float:
    """The largest share of rows, the surest first, that a proxy may answer while all answers together, the others being right,
    are right in ``target`` of rows: proved with probability 1 - ``delta`` for rows like those of the test. 0: no more
    than may all be wrong.

    Shares grow until one cannot be proved (fixed-sequence testing, so ``delta`` is spent once); each is tested with the exact
    binomial bound (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934).

    >>> proven_share(np.arange(200.0), np.ones(200, dtype=bool), 0.95, 0.1)
    1.0
    >>> proven_share(np.arange(200.0), np.zeros(200, dtype=bool), 0.95, 0.1)
    0.0
    """
    rows = len(agreed)
    right = np.cumsum(agreed[np.argsort(-certainties, kind="stable")])
    proved = 0.0
    for step in range(1, STEPS + 1):
        shown = rows * step // STEPS
        needed = 1.0 - (1.0 - target) * STEPS / step
        if not shown or at_least(int(right[shown - 1]), shown, delta) < needed:
            break
        proved = step / STEPS
    return proved if proved > 1.0 - target + 1e-9 else 0.0


def at_least(right: int, rows: int, delta: float) -> float:
    """The probability of being right that ``right`` of ``rows`` proves, with probability 1 - ``delta``.

    >>> round(at_least(100, 100, 0.1), 3)
    0.977
    """
    if not right:
        return 0.0
    from scipy.stats import beta

    found: Any = beta.ppf(delta, right, rows - right + 1)
    return float(found)


def agreement(agreed: int, rows: int, delta: float = 0.1) -> tuple[float, float]:
    """Both bounds of how often a proxy agrees, ``delta / 2`` each.

    >>> [round(x, 3) for x in agreement(90, 100)]
    [0.836, 0.945]
    """
    return at_least(agreed, rows, delta / 2), 1.0 - at_least(rows - agreed, rows, delta / 2)
