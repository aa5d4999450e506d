"""A plan as the search sees it: which arm answers which call, in which order, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


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


def frontier(points: Iterable[Point], slack: float = 0.0) -> tuple[Point, ...]:
    """The points that no other dominates, cheapest first; of equals, the first.

    >>> a, b = Point((), 1, 1.0, 1.0, 0.0), Point((), 1, 2.0, 2.0, 0.0)
    >>> frontier([b, a]) == (a,)
    True
    """
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.money, p.seconds, p.loss, p.rows)):
        if not any(other.dominates(point, slack) for other in kept):
            kept.append(point)
    return tuple(kept)
