"""Which arms a call site asks about a row: all of them while they are compared, then the cheapest that is good enough."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .agreement import agreement
from .bounds import Bet, rows_to_win, wilson

Phase = Literal["profile", "serve", "audit"]

FIRST_WAVE = 16
MOST_WAVE = 256
MOST_CERTIFIED = 3
AUDIT_SHARE = 0.02
EXPLORE_SHARE = 0.05
DELTA = 0.05
LEAST_POSITIVES = 3


@dataclass(frozen=True, slots=True)
class Assignment:
    """What to do with one row.

    Parameters
    ----------
    number : of the row. arms : who is asked, by number; 0 is the reference. serve : whose answer is the row's.
    """

    number: int
    arms: tuple[int, ...]
    serve: int
    phase: Phase


@dataclass(slots=True)
class Tally:
    """What is known of one arm.

    Parameters
    ----------
    agreed, rows : Σ and number of agreements with the reference. certified : the wager over rows after the first wave.
    kept_both, kept_mine, kept_theirs : rows that both, this arm, the reference kept (answers that are TRUE).
    why : it is out, and for what reason ("": it is in).
    """

    agreed: float = 0.0
    rows: int = 0
    certified: Bet | None = None
    kept_both: int = 0
    kept_mine: int = 0
    kept_theirs: int = 0
    why: str = ""

    def see(self, same: float, mine: Any, theirs: Any) -> None:
        """One row that both were asked about."""
        self.rows += 1
        self.agreed += same
        self.kept_both += mine is True and theirs is True
        self.kept_mine += mine is True
        self.kept_theirs += theirs is True
        if self.certified is not None:
            self.certified.see(same)

    def f1(self) -> float:
        """Of the rows it keeps, against those that the reference keeps; 1 while neither keeps any."""
        kept = self.kept_mine + self.kept_theirs
        return 2 * self.kept_both / kept if kept else 1.0

    def mean(self) -> float:
        """Mean agreement over all rows that were compared."""
        return self.agreed / self.rows if self.rows else 1.0


Costs = Callable[[], Sequence[float]]
"""What one question costs each arm, in one unit for all, as far as is known by now."""


@dataclass(slots=True)
class Chooser:
    """The state of one call site.

    Rows come in waves. In a wave all living arms are asked beside the reference, whose answer is the row's. The first wave
    selects: arms that cannot reach the target are dropped, the cheapest of the others remain. In later waves each of these
    bets that it agrees with the reference more often than the target; one that has won its wager (at ``delta`` over all of
    them) may serve. The cheapest does, once going on would cost more than it could save. Comparing never costs more than
    ``EXPLORE_SHARE`` of what the reference alone would. While an arm serves, some rows are audited, and if the reverse
    wager is won (it agrees less often), the reference serves again.

    Parameters
    ----------
    arms : how many, the reference (0) included. costs : see :data:`Costs`.
    room : how much disagreement is allowed now. took : told how much of it a decision uses.
    rows : how many are expected by now; ``None``: nobody knows. boolean : answers are TRUE or not, and TRUE keeps the row.
    """

    arms: int
    costs: Costs
    room: Callable[[], float]
    took: Callable[[float], None]
    rows: Callable[[], float | None] = lambda: None
    boolean: bool = False
    delta: float = DELTA
    seed: int = 42
    serving: int | None = None
    seen: int = 0
    notes: list[str] = field(default_factory=list)
    tallies: dict[int, Tally] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    _least: float = 0.0
    _open: int = 0
    _left_in_wave: int = FIRST_WAVE
    _wave: list[tuple[Assignment, Mapping[int, Any]]] = field(default_factory=list)
    _audit: Bet | None = None
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.asked = [0] * self.arms
        self.tallies = {arm: Tally() for arm in range(1, self.arms)}
        self._least = min(max(1.0 - self.room(), 1e-6), 1.0 - 1e-6)

    @property
    def target(self) -> float:
        """Agreement that an arm has to prove."""
        return self._least

    def assign(self) -> Assignment | None:
        """Whom the next row asks; ``None``: not known before the wave under way has been answered."""
        if self.serving is not None:
            return self._serving(self.serving)
        if not self._left_in_wave:
            return None
        self._left_in_wave -= 1
        self._open += 1
        return self._assigned((0, *self._living()), 0, "profile")

    def _living(self) -> list[int]:
        return [arm for arm, tally in self.tallies.items() if not tally.why]

    def _serving(self, arm: int) -> Assignment:
        if arm and self._random.random() < AUDIT_SHARE:
            return self._assigned((0, arm), 0, "audit")
        return self._assigned((arm,), arm, "serve")

    def _assigned(self, arms: tuple[int, ...], serve: int, phase: Phase) -> Assignment:
        self.seen += 1
        for arm in arms:
            self.asked[arm] += 1
        return Assignment(self.seen, arms, serve, phase)

    def learn(self, assignment: Assignment, answers: Mapping[int, Any]) -> None:
        """What came of a row: the answer of each arm that gave one. Without the reference's nothing can be compared."""
        if assignment.phase == "audit" and 0 in answers:
            (_, arm) = assignment.arms
            self._audited(arm, agreement(answers[arm], answers[0]) if arm in answers else 0.0)
        if assignment.phase == "profile":
            self._wave.append((assignment, answers))
            self._open -= 1
            if not self._open and not self._left_in_wave:
                self._end_wave()

    def _end_wave(self) -> None:
        # In the order of rows, not of answers: the same rows decide the same, however fast who answered them.
        for assignment, answers in sorted(self._wave, key=lambda pair: pair[0].number):
            for arm in assignment.arms[1:] if 0 in answers else ():
                # An arm that failed has not agreed.
                same = agreement(answers[arm], answers[0]) if arm in answers else 0.0
                self.tallies[arm].see(same, answers.get(arm), answers[0])
        self._wave.clear()
        self._decide()

    def _audited(self, arm: int, same: float) -> None:
        if self._audit is None or self.serving != arm:
            return
        self._audit.see(same)
        if self._audit.won():
            self.notes.append(f"after {self.seen:,} rows audits disagreed too often: the reference serves again")
            self._settle(0)

    def _decide(self) -> None:
        costs = self.costs()
        for arm in self._living():
            self.tallies[arm].why = self._against(arm, costs)
        if all(tally.certified is None for tally in self.tallies.values()):
            self._select(costs)
        best = self._best(costs)
        self._left_in_wave = min(self._wanted(best, costs), self._affordable(costs))
        if not self._left_in_wave:
            self._settle(best)

    def _against(self, arm: int, costs: Sequence[float]) -> str:
        tally = self.tallies[arm]
        _, high = wilson(tally.agreed, tally.rows)
        if high < self._least:
            return f"agrees in {tally.mean():.0%} of {tally.rows:,} rows"
        return "" if costs[arm] < costs[0] else "costs no less than the reference"

    def _select(self, costs: Sequence[float]) -> None:
        """The first wave is over: those that go on bet from here, with the error shared among them."""
        cheapest = sorted(self._living(), key=lambda arm: (costs[arm], arm))
        for arm in cheapest[MOST_CERTIFIED:]:
            self.tallies[arm].why = "cheaper arms agree as well"
        chosen = cheapest[:MOST_CERTIFIED]
        for arm in chosen:
            self.tallies[arm].certified = Bet(self._least, self.delta / len(chosen))

    def _eligible(self, arm: int) -> bool:
        tally = self.tallies[arm]
        if tally.why or tally.certified is None or not tally.certified.won():
            return False
        return not self.boolean or (tally.kept_theirs >= LEAST_POSITIVES and tally.f1() >= self._least)

    def _best(self, costs: Sequence[float]) -> int:
        return min([0, *filter(self._eligible, self.tallies)], key=lambda arm: costs[arm])

    def _left(self) -> float:
        """Rows to come. Of a stream whose length nobody knows: as many again as have been."""
        expected = self.rows()
        return float(self.seen) if expected is None else max(0.0, expected - self.seen)

    def _wanted(self, best: int, costs: Sequence[float]) -> int:
        """Rows after which a cheaper arm than ``best`` may have won and will have saved more than they cost; 0: there is none."""
        wanted = [rows for arm in self._living() if (rows := self._worth(arm, best, costs)) is not None]
        return max(FIRST_WAVE, min(MOST_WAVE, math.ceil(min(wanted)))) if wanted else 0

    def _worth(self, arm: int, best: int, costs: Sequence[float]) -> float | None:
        tally = self.tallies[arm]
        if tally.certified is None or costs[arm] >= costs[best] or self._eligible(arm):
            return None
        share = max(0.0, 1 - tally.certified.log_wealth / math.log(1 / tally.certified.delta))
        # One row more that agreed: a mean of exactly 1 from few rows promises too much, one below the target nothing.
        rows = max(1.0, share * rows_to_win(self._least, tally.certified.delta, (tally.agreed + 1) / (tally.rows + 1)))
        saved = (self._left() - rows) * (costs[best] - costs[arm])
        return rows if saved > rows * (costs[0] - costs[best] + costs[arm]) else None

    def _affordable(self, costs: Sequence[float]) -> int:
        a_row = sum(costs[arm] for arm in self._living())
        spent = sum(self.asked[arm] * costs[arm] for arm in self.tallies)
        allowed = EXPLORE_SHARE * costs[0] * (self.seen + self._left())
        return max(0, int((allowed - spent) / a_row)) if a_row > 0 else MOST_WAVE

    def _settle(self, arm: int) -> None:
        self.serving = arm
        self._audit = Bet(self._least, self.delta, above=False) if arm else None
        self.took(1.0 - self._least if arm else 0.0)
