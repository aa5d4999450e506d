"""Rows that see whether the arm that serves still agrees: counted in the order of rows, whichever answer is there first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .bounds import Bet
from .tally import Tally


@dataclass(slots=True)
class Audits:
    """A wager that the arm that serves agrees less often than it has proved.

    Parameters
    ----------
    tallies : of all arms, which keep what they saw for later runs.

    >>> audits = Audits({1: Tally()})
    >>> audits.begin(1, 0.1, 0.05)
    >>> for row in range(20):
    ...     audits.hear(row, 1, 0.0)
    >>> audits.lost(0), audits.lost(19)
    (False, True)
    """

    tallies: Mapping[int, Tally]
    _arm: int = 0
    _bet: Bet | None = None
    _heard: dict[int, tuple[int, float]] = field(default_factory=dict)

    def begin(self, arm: int, loss: float | None, delta: float) -> None:
        """An arm serves from now on that loses so much at most. ``loss`` : ``None`` for who needs no proof."""
        self._arm, self._bet = arm, None if loss is None else Bet(1.0 - loss, delta, above=False)

    def hear(self, number: int, arm: int, same: float) -> None:
        """How far an arm agreed in a row; ``number`` : of the row."""
        self.tallies[arm].audit(same)
        self._heard[number] = arm, same

    def lost(self, known: float) -> bool:
        """Whether the arm that serves agrees too seldom, by the rows up to one that all are answered."""
        lost = False
        for number in sorted(number for number in self._heard if number <= known):
            arm, same = self._heard.pop(number)
            if self._bet is not None and arm == self._arm and not lost:
                self._bet.see(same)
                lost = self._bet.won()
        return lost
