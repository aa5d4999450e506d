"""What it is worth to go on comparing: savings that are expected of arms, less what proving them costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .belief import belief
from .bounds import rows_to_win
from .tally import Tally

CLEARLY = 0.7
"""An arm that loses so much of the room is as good as sure to prove it."""


@dataclass(frozen=True, slots=True)
class Prospects:
    """How things stand when it is decided who goes on.

    Parameters
    ----------
    costs : of a question, per arm; the reference first. left : rows to come. best : who serves if nobody proves more.
    delta : probability of error of arms that have not been selected yet. kept_room : 1 − F1 that is allowed; ``None``: of no filter.
    """

    costs: Sequence[float]
    left: float
    best: int
    delta: float
    kept_room: float | None

    def saves(self, arm: int, tally: Tally, loss: float, against: int) -> float:
        """What an arm is expected to save against another, once it has proved that it loses so much at most."""
        a_row = self.costs[against] - self.costs[arm]
        if a_row <= 0:
            return 0.0
        spent = self.costs[0] - self.costs[against] + self.costs[arm]
        saved = 0.0
        for true, share in belief(*tally.known):
            rows = self.to_go(tally, loss, true)
            if rows < self.left and true <= self.most(tally):
                saved += share * max(0.0, (self.left - rows) * a_row - rows * spent)
        return saved

    def to_go(self, tally: Tally, loss: float, true: float) -> float:
        """About how many more rows prove a loss to an arm that truly loses so much."""
        done = 0.0 if tally.certified is None else tally.certified.share(loss)
        if done >= 1.0:
            return 0.0
        delta = self.delta if tally.certified is None else tally.certified.delta
        return (1.0 - done) * rows_to_win(1 - loss, delta, 1 - true)

    def most(self, tally: Tally) -> float:
        """Disagreement that an arm may have: 1 − F1 is its share among the rows that either side keeps, not among all."""
        _, rows = tally.known
        if self.kept_room is None or not rows:
            return 1.0
        return min(1.0, self.kept_room * (tally.kept[1] + 1) / (rows + 1))

    def succeeds(self, tally: Tally, room: float) -> float:
        """How likely it is that an arm loses clearly less than there is room for."""
        most = min(room * CLEARLY, self.most(tally))
        return sum(share for true, share in belief(*tally.known) if true <= most)

    def hopeless(self, tally: Tally, room: float, least: float) -> bool:
        """Whether it is all but sure that an arm loses more than there can be room for."""
        return sum(share for true, share in belief(*tally.known) if true <= room) < least

    def promises(self, tallies: dict[int, Tally], room: float) -> dict[int, float]:
        """What each arm is expected to save; a dear one is worth having only if none of the cheaper succeeds."""
        promise, fail = {}, 1.0
        for arm in sorted(tallies, key=lambda arm: (self.costs[arm], arm)):
            promise[arm] = fail * self.saves(arm, tallies[arm], room, self.best)
            fail *= 1.0 - self.succeeds(tallies[arm], room)
        return promise

    def wanted(self, tally: Tally, loss: float) -> float:
        """Rows after which an arm may have proved a loss, if it is as good as it looks."""
        agreed, seen = tally.known
        rows = self.to_go(tally, loss, 1.0 - (agreed + 1) / (seen + 1))
        return seen if math.isinf(rows) else rows
