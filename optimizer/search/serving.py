"""Who serves, of the arms that have proved themselves, by what they really cost: re-plans of the rows that are left."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Protocol

from .spending import BLOCK, Spending

HYSTERESIS = 0.10
"""Another arm takes over if it is cheaper by more than this share."""
DWELL = 64
"""An arm serves so many rows before a cheaper one takes over, unless there is a surprise."""
REST = 256
"""Rows for which an arm that was left is not taken back; twice as many each time. So there are few re-plans, whatever happens."""
FAILED = 8
"""Of the last ``BLOCK`` answers of an arm: most of them failed."""
SIZES = 16
NO_ANSWER, FAILS = "its endpoint does not answer", "most of its questions fail"
WANTING, CHEAPER = "it is not good enough any more", "the other has proved itself, and costs less"


@dataclass(frozen=True, slots=True)
class Replan:
    """A change of who serves.

    Parameters
    ----------
    row : after which. left, taken : arms. why : for people.
    """

    row: int
    left: int
    taken: int
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """What a row has shown.

    Parameters
    ----------
    spent : by arm that answered, what that cost in proportion to what was expected (in seconds: what it took).
    sizes : what all arms are expected to cost for such a row; empty: nobody looked.
    """

    spent: Mapping[int, float] = field(default_factory=dict)
    sizes: Sequence[float] = ()


class Follows(Protocol):
    """Says who serves."""

    @property
    def replans(self) -> Sequence[Replan]:
        """Changes so far."""
        ...

    @property
    def known(self) -> float:
        """The number of a row up to which all answers have been counted; those of audits count up to there, too."""
        ...

    def begun(self, number: int) -> None:
        """A row is asked about."""
        ...

    def best(self, row: int, serving: int | None, proven: Sequence[int], costs: Sequence[float]) -> int:
        """Who is to serve when a wave is over. ``row`` : how many have come. ``serving`` : who did. ``proven`` : who may."""
        ...

    def who(self, row: int, serving: int, proven: Callable[[], Sequence[int]]) -> int | None:
        """Who serves from this row on; ``None``: that is not known before rows under way are answered."""
        ...


class Steady:
    """Nobody follows anything: who was the cheapest when it was decided serves."""

    replans: Sequence[Replan] = ()
    known = math.inf
    """Nobody waits for anything."""

    def begun(self, number: int) -> None:
        """See :class:`Follows`."""

    def best(self, row: int, serving: int | None, proven: Sequence[int], costs: Sequence[float]) -> int:
        """See :class:`Follows`."""
        del row, serving
        return min(proven, key=lambda arm: costs[arm])

    def who(self, row: int, serving: int, proven: Callable[[], Sequence[int]]) -> int | None:
        """See :class:`Follows`."""
        del row, proven
        return serving


class Serving:
    """Follows what arms really cost, and says who serves.

    A proven arm takes over from another if it costs less by more than :data:`HYSTERESIS`, after at least :data:`DWELL` rows; at
    once where the cost of who serves is a surprise, and whatever it costs where who serves does not answer.

    Costs in money are followed in the order of rows, with some distance: rows wait until those ``lag`` before them are answered. So
    the same rows decide the same, whoever answers first. Seconds are as they come.

    Parameters
    ----------
    arms : how many, the reference (0) included. planned : what a question is expected to cost each.
    lag : while an arm serves; ``None``: seconds decide. down : whether nobody answers for an arm now.

    Attributes
    ----------
    replans : so far.
    """

    def __init__(
        self,
        arms: int,
        planned: Callable[[], Sequence[float]],
        lag: Callable[[int], int | None] = lambda _: None,
        down: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.replans: list[Replan] = []
        self._planned, self._lag, self._down = planned, lag, down
        self._spent = [Spending() for _ in range(arms)]
        self._sizes: deque[Sequence[float]] = deque(maxlen=SIZES)
        self._open: dict[int, None] = {}
        self._ended: dict[int, Row] = {}
        self._compared: dict[int, Row] = {}
        self._failed: deque[bool] = deque(maxlen=BLOCK)
        self._serves = self._since = self._due = self._known = 0
        self._until: dict[int, int] = {}
        self._rested: Counter[int] = Counter()

    @property
    def known(self) -> float:
        """See :class:`Follows`. Seconds are as they come."""
        return math.inf if self._lag(self._serves) is None else self._known

    def begun(self, number: int) -> None:
        """See :class:`Follows`."""
        self._open[number] = None

    def ended(self, number: int, row: Row, *, compared: bool = False) -> None:
        """It is answered. ``compared`` : for a decision that waits for all such rows, and counts them."""
        self._open.pop(number, None)
        (self._compared if compared else self._ended)[number] = row

    def served(self, arm: int, *, failed: bool) -> None:
        """How a question to an arm that serves ended."""
        if arm == self._serves:
            self._failed.append(failed)

    def costs(self) -> Sequence[float]:
        """What a question costs each arm by now: what prompts of late are expected to cost, corrected by what answers did cost."""
        self._count(self._compared, max(self._compared, default=0))
        planned = self._planned()
        levels = [spent.level for spent in self._spent]
        if self._lag(self._serves) is None:
            return [cost if level is None else level for cost, level in zip(planned, levels, strict=True)]
        sizes = planned if not self._sizes else [fmean(each) for each in zip(*self._sizes, strict=True)]
        # Nobody has seen the bills of some arms. Sizes are guessed alike for all, so they are wrong alike, too.
        other = 1.0 if levels[0] is None else levels[0]
        return [size * (other if level is None else level) for size, level in zip(sizes, levels, strict=True)]

    def rests(self, arm: int, row: int) -> bool:
        """Whether an arm was left not long ago."""
        if arm in self._until and row >= self._until[arm]:
            del self._until[arm]
            self._spent[arm].forget()
        return arm in self._until

    def best(self, row: int, serving: int | None, proven: Sequence[int], costs: Sequence[float]) -> int:
        """See :class:`Follows`. The cheapest that does not rest; who served before, if that is about as good."""
        best = min((arm for arm in proven if not self.rests(arm, row)), key=lambda arm: (costs[arm], arm), default=0)
        if serving is not None:  # :meth:`who` changes that, and says why
            return serving if serving in proven else best
        return (
            self._serves if self._due and self._serves in proven and _about(costs[self._serves], costs[best]) else best
        )

    def who(self, row: int, serving: int, proven: Callable[[], Sequence[int]]) -> int | None:
        """See :class:`Follows`."""
        if not self._due:
            self._begin(row, serving)
        elif serving != self._serves:
            why = CHEAPER if self._serves in proven() else WANTING
            self.replans.append(Replan(row, self._serves, serving, why))
            self._begin(row, serving)
        if why := self._trouble(serving):
            return self._instead(row, serving, proven(), why)
        if row < self._due:
            return serving
        if not self._caught_up(row):
            return None
        self._due = row + BLOCK
        return self._cheaper(row, serving, proven())

    def _begin(self, row: int, serving: int) -> None:
        self._serves, self._since, self._due = serving, row, row + BLOCK
        self._failed.clear()

    def _caught_up(self, row: int) -> bool:
        """Count what is to be counted by this row, if all of it is there."""
        lag = self._lag(self._serves)
        last = row if lag is None else row - lag
        # They begin in order, so the oldest is the first that is there.
        if lag is not None and next(iter(self._open), row) <= last:
            return False
        self._count(self._ended, last)
        self._known = last
        return True

    def _count(self, ended: dict[int, Row], last: int) -> None:
        for number in sorted(number for number in ended if number <= last):
            row = ended.pop(number)
            for arm in sorted(row.spent):
                self._spent[arm].add(row.spent[arm])
            if row.sizes:
                self._sizes.append(row.sizes)

    def _trouble(self, serving: int) -> str:
        if self._down(serving):
            return NO_ANSWER
        return FAILS if sum(self._failed) >= FAILED else ""

    def _others(self, row: int, serving: int, proven: Sequence[int]) -> list[int]:
        return [arm for arm in proven if arm != serving and not self.rests(arm, row) and not self._down(arm)]

    def _cheaper(self, row: int, serving: int, proven: Sequence[int]) -> int:
        spent = self._spent[serving]
        if row - self._since < DWELL and not spent.surprised:
            return serving
        others, costs = self._others(row, serving, proven), self.costs()
        best = min(others, key=lambda arm: (costs[arm], arm), default=serving)
        if best == serving or _about(costs[serving], costs[best]):
            return serving
        return self._change(row, serving, best, self._why(serving, costs[serving], costs[best]))

    def _why(self, serving: int, cost: float, other: float) -> str:
        spent, timed = self._spent[serving], self._lag(self._serves) is None
        if spent.surprised and spent.before and spent.level is not None:
            return (
                f"its answers {'take' if timed else 'cost'} {spent.level / spent.before:.3g} times what they did before"
            )
        if not other:
            return "the other costs nothing"
        return f"it {'takes' if timed else 'costs'} {cost / other:.3g} times as {'long' if timed else 'much'}"

    def _instead(self, row: int, serving: int, proven: Sequence[int], why: str) -> int:
        """Anybody else, if there is one who may answer."""
        costs = self.costs()
        best = min(self._others(row, serving, proven), key=lambda arm: (costs[arm], arm), default=serving)
        return serving if best == serving else self._change(row, serving, best, why)

    def _change(self, row: int, left: int, taken: int, why: str) -> int:
        self._until[left] = row + REST * 2 ** self._rested[left]
        self._rested[left] += 1
        self._spent[left].surprised = False
        self.replans.append(Replan(row, left, taken, why))
        self._begin(row, taken)
        return taken


def _about(cost: float, other: float) -> bool:
    """Whether another is not cheaper by enough to take over."""
    return other >= (1 - HYSTERESIS) * cost
