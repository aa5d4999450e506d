"""What it is worth to go on comparing: savings that are expected of arms, less what proving them costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .belief import LOSSES, belief
from .bounds import Floats, Proof, bets_to_win
from .sequential import SequentialProof, rows_to_prove
from .tally import Tally

HORIZON, UNKNOWN = 0.15, 400.0
"""Rows to prove with, as a share of those to come, and where nobody knows how many these are."""
AGAIN = 2.0
"""What is proved serves the rows to come, and as many of the next run, to which the store lends the proof."""
CLEARLY = 0.7
"""An arm that loses so much of the room is as good as sure to prove it."""


def horizon_of(left: float | None) -> float:
    """Rows with which an arm has to prove itself if that is to pay, of those that are left (``None``: nobody knows).

    >>> horizon_of(1000), horizon_of(None)
    (150.0, 400.0)
    """
    return UNKNOWN if left is None else HORIZON * left


@dataclass(frozen=True, slots=True)
class Prospects:
    """How things stand when it is decided who goes on.

    Parameters
    ----------
    costs : of a question, per arm; the reference first. left : rows to come. best : who serves if nobody proves more.
    delta : probability of error of arms that have not been selected yet. kept_room : 1 − F1 that is allowed; ``None``: of no filter.
    horizon : rows that they have to prove themselves; ``None``: as many as their bets take.
    """

    costs: Sequence[float]
    left: float
    best: int
    delta: float
    kept_room: float | None
    horizon: float | None

    def proof(self, levels: Sequence[float]) -> Proof | SequentialProof:
        """Of an arm that is selected now, nothing proved yet."""
        if self.horizon is None:
            return Proof(levels, self.delta)
        return SequentialProof(levels, self.delta, self.horizon)

    def saves(self, arm: int, tally: Tally, losses: Sequence[float], against: int) -> Floats:
        """What an arm is expected to save against another, once it has proved that it loses so much at most: per loss."""
        a_row = self.costs[against] - self.costs[arm]
        if a_row <= 0:
            return np.zeros(len(losses))
        spent = self.costs[0] - self.costs[against] + self.costs[arm]
        left = AGAIN * self.left
        rows = np.minimum(self._to_go(tally, np.array(losses), LOSSES), left)
        saved = np.maximum(0.0, (left - rows) * a_row - rows * spent)
        expected: Floats = saved @ np.where(self.most(tally) >= LOSSES, belief(*tally.known), 0.0)
        return expected

    def rows(self, tally: Tally, loss: float, true: float) -> float:
        """About how many more rows prove a loss to an arm that truly loses so much."""
        return float(self._to_go(tally, np.array([loss]), np.array([true]))[0, 0])

    def _to_go(self, tally: Tally, losses: Floats, true: Floats) -> Floats:
        if tally.certified is not None:
            return tally.certified.to_go(losses, true)
        if self.horizon is None:
            return np.stack([bets_to_win(float(loss), self.delta, true) for loss in losses])
        return rows_to_prove(losses, self.delta, self.horizon, true)

    def most(self, tally: Tally) -> float:
        """Disagreement that an arm may have: 1 − F1 is its share among the rows that either side keeps, not among all."""
        _, rows = tally.known
        if self.kept_room is None or not rows:
            return 1.0
        return min(1.0, self.kept_room * (tally.kept[1] + 1) / (rows + 1))

    def succeeds(self, tally: Tally, room: float) -> float:
        """How likely it is that an arm loses clearly less than there is room for."""
        most = min(room * CLEARLY, self.most(tally))
        return float(belief(*tally.known)[most >= LOSSES].sum())

    def offer(self, tallies: Mapping[int, Tally], levels: Sequence[float]) -> list[float]:
        """What some arms are expected to save against the reference, at most: per loss that they may prove."""
        saved = [self.saves(arm, tally, levels, 0) for arm, tally in tallies.items()]
        most: list[float] = np.max([np.zeros(len(levels)), *saved], axis=0).tolist()
        return most

    def hopeless(self, tally: Tally, room: float, least: float) -> bool:
        """Whether it is all but sure that an arm loses more than there can be room for."""
        return float(belief(*tally.known)[room >= LOSSES].sum()) < least

    def promises(self, tallies: dict[int, Tally], room: float) -> dict[int, float]:
        """What each arm is expected to save; a dear one is worth having only if none of the cheaper succeeds."""
        promise, fail = {}, 1.0
        for arm in sorted(tallies, key=lambda arm: (self.costs[arm], arm)):
            promise[arm] = fail * float(self.saves(arm, tallies[arm], [room], self.best)[0])
            fail *= 1.0 - self.succeeds(tallies[arm], room)
        return promise

    def wanted(self, tally: Tally, loss: float) -> float:
        """Rows after which an arm may have proved a loss, if it is as good as it looks."""
        agreed, seen = tally.known
        rows = self.rows(tally, loss, 1.0 - (agreed + 1) / (seen + 1))
        return seen if math.isinf(rows) else rows
