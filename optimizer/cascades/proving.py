"""Which rows the proxy may answer, whatever was promised."""

from __future__ import annotations

from collections.abc import Generator

from ...engine.plan.cascade import Guarantee
from .accuracy import believed
from .certificate import Rows
from .sample import Sample
from .sides import Sides, sides_of


def proven(sample: Sample, line: Rows, guarantee: Guarantee) -> Generator[Rows, None, Sides]:
    """The rows of each side, as far as labels prove the promise; yields rows whose labels it needs to learn first.

    Rows of a side that are known stay as the reference said. Of accuracy there is one side: rows whose answer is the proxy's.

    Parameters
    ----------
    line : rows that have a confidence, surest first.
    """
    if guarantee.accuracy is None:
        return (yield from sides_of(sample, line, guarantee))
    taken = yield from believed(sample, line, guarantee.accuracy, guarantee.delta)
    return Sides(taken, line[:0])
