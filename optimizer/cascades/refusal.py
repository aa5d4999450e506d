"""Why a cascade is not begun."""

from __future__ import annotations

import math

from ...engine.plan.cascade import Guarantee
from .betting import Claim
from .certificate import Prices

FEWEST = 200
"""Of fewer rows a proof takes about as many answers as there are rows."""


def refusal(rows: int, guarantee: Guarantee, prices: Prices | None = None) -> str:
    """Why the reference had better answer every row, as far as that is known before the proxy is asked anything; "": it need not.

    >>> refusal(100, Guarantee(accuracy=0.9))
    'the 100 rows are fewer than the 200 that a proof is worth'
    >>> refusal(5000, Guarantee(accuracy=0.9), Prices(reference=1.0, proxy=0.99))
    'the proxy cannot pay: even if it were always right, it would save 4949 answers of the reference and cost as much as 4950'
    """
    if rows < FEWEST:
        return f"the {rows} rows are fewer than the {FEWEST} that a proof is worth"
    if prices is None:
        return ""
    saved, spent = (
        rows - _least_labels(rows, guarantee),
        rows * prices.proxy / prices.reference if prices.reference else math.inf,
    )
    if saved > spent:
        return ""
    return (
        f"the proxy cannot pay: even if it were always right, it would save {saved} answers of the reference "
        f"and cost as much as {spent:.0f}"
    )


def _least_labels(rows: int, guarantee: Guarantee) -> int:
    """Of a sample in which the proxy is never wrong."""
    weakest = min(
        target for target in (guarantee.accuracy, guarantee.precision, guarantee.recall) if target is not None
    )
    allowed = math.floor((1 - weakest) * rows)
    return Claim(rows, allowed, min(1.0, (allowed + 1) / rows), guarantee.delta).soonest
