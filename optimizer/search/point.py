"""A plan as the search sees it: which arm answers which call, in which order, and what that costs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a plan: the site's label and the arm's name."""

    site: str
    arm: str


@dataclass(frozen=True, slots=True)
class Point:
    """A plan and its expected costs.

    Parameters
    ----------
    steps : in the order in which rows meet them. rows : that leave the last one.
    money : US dollars. seconds : on the wall. loss : share of the source's rows whose answers may differ from the reference's.
    """

    steps: tuple[Step, ...]
    rows: float
    money: float
    seconds: float
    loss: float

    @property
    def quality(self) -> float:
        """Agreement with the reference plan, at least (losses of calls add up)."""
        return max(0.0, 1.0 - self.loss)

    def dominates(self, other: Point, slack: float = 0.0) -> bool:
        """No worse in money, seconds, loss and rows. ``slack``: differences below this share do not count."""
        return (
            self.money <= other.money * (1 + slack)
            and self.seconds <= other.seconds * (1 + slack)
            and self.loss <= other.loss + slack * 0.01
            and self.rows <= other.rows * (1 + slack)
        )


Costs = tuple[float, float, float]
"""Money, seconds and loss of a plan."""
Floats = NDArray[np.float64]

MANY = 512
"""From so many plans on, a coarse look at all of them pays."""
BINS = 32


def frontier(points: Iterable[Point], slack: float = 0.0) -> tuple[Point, ...]:
    """The points that no other dominates, cheapest first; of equals, the first.

    >>> a, b = Point((), 1, 1.0, 1.0, 0.0), Point((), 1, 2.0, 2.0, 0.0)
    >>> frontier([b, a]) == (a,)
    True
    """
    in_order = sorted(points, key=lambda p: (p.money, p.seconds, p.loss, p.rows))
    if len({point.rows for point in in_order}) <= 1:
        return tuple(in_order[at] for at in undominated([(p.money, p.seconds, p.loss) for p in in_order], slack))
    kept: list[Point] = []
    for point in in_order:
        if not any(other.dominates(point, slack) for other in kept):
            kept.append(point)
    return tuple(kept)


def undominated(in_order: Sequence[Costs], slack: float = 0.0) -> list[int]:
    """Places of those that none before them dominates, of costs in ascending order, as :meth:`Point.dominates` has it.

    Who comes later is no cheaper, so of those before only the stairs of seconds and loss matter: each longer one loses less
    (H. T. Kung, F. Luccio, F. P. Preparata, "On Finding the Maxima of a Set of Vectors", 1975).

    >>> undominated([(1.0, 5.0, 0.2), (2.0, 6.0, 0.3), (3.0, 1.0, 0.1)])
    [0, 2]
    """
    kept: list[int] = []
    seconds: list[float] = []
    losses: list[float] = []
    for place, (_, took, loss) in enumerate(in_order):
        at = bisect_right(seconds, took * (1 + slack))
        if at and losses[at - 1] <= loss + slack * 0.01:
            continue
        kept.append(place)
        start = bisect_left(seconds, took)
        if start and losses[start - 1] <= loss:
            continue
        end = start
        while end < len(losses) and losses[end] >= loss:
            end += 1
        seconds[start:end], losses[start:end] = [took], [loss]
    return kept


def cheapest_first(costs: Floats, slack: float = 0.0) -> NDArray[np.intp]:
    """Places of those of many that :func:`undominated` keeps, cheapest first; of equals, the first.

    Parameters
    ----------
    costs : a row each: money, seconds, loss.
    """
    left = _coarsely_undominated(costs) if len(costs) >= MANY else np.arange(len(costs))
    money, seconds, loss = costs[left].T
    in_order = left[np.lexsort((loss, seconds, money))]
    return in_order[undominated(costs[in_order].tolist(), slack)]


def _coarsely_undominated(costs: Floats) -> NDArray[np.intp]:
    """Places of all that nothing dominates, and of some others: who is no faster than one of less money and less loss is out.

    Money and loss are looked at in bins, so that all are compared with all at once; the least seconds of each bin say enough.
    """
    money, seconds, loss = costs.T
    row, column = (np.searchsorted(_edges(each), each, side="right") for each in (money, loss))
    least = np.full((BINS + 1, BINS + 1), np.inf)
    np.minimum.at(
        least, (row + 1, column + 1), seconds
    )  # so that each bin finds those below and left of it in its place
    least = np.minimum.accumulate(np.minimum.accumulate(least), axis=1)
    return np.flatnonzero(seconds < least[row, column])


def _edges(values: Floats) -> Floats:
    """Between the bins; equal values are in one."""
    some = np.sort(values[:: max(1, len(values) // (8 * BINS))])
    edges: Floats = some[np.arange(1, BINS) * len(some) // BINS]
    return edges
