"""Which arms a call site asks about a row: all of them while they are compared, then the cheapest that is good enough."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .agreement import agreement
from .belief import belief
from .bounds import Bet, Proof, rows_to_win

Phase = Literal["profile", "serve", "audit"]

FIRST_WAVE = 16
MOST_WAVE = 256
MOST_CERTIFIED = 3
AUDIT_SHARE = 0.02
EXPLORE_SHARE = 0.05
PAYS_SHARE = 0.25
DELTA = 0.05
LEAST_POSITIVES = 3
HOPELESS = 0.02
LOOK_AGAIN = 64
SMALL = 1.5
TOO_DEAR = "a proof would cost more than it saves"


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
    agreed, rows : Σ and number of agreements with the reference. certified : what rows after the first wave prove.
    kept_both, kept_mine, kept_theirs : rows that both, this arm, the reference kept (answers that are TRUE).
    why : it is out, and for what reason ("": it is in).
    """

    agreed: float = 0.0
    rows: int = 0
    certified: Proof | None = None
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
    selects: arms that cannot reach the target are dropped, those that promise to save most remain. Later waves prove how much
    each of these loses at most (at ``delta`` over all of them); one whose loss fits into the room may serve. The cheapest does,
    once going on would cost more than it is expected to save. Comparing never costs more than ``EXPLORE_SHARE`` of what the
    reference alone would. While an arm serves, some rows are audited, and if a wager that it agrees less often than was
    proved is won, the reference serves again.

    Parameters
    ----------
    arms : how many, the reference (0) included. costs : see :data:`Costs`.
    beside : the same where the reference is asked anyway, which an arm may ask, too; ``None``: no arm does.
    room : how much disagreement is allowed now. took : told how much of it a decision uses.
    rows : how many are expected by now; ``None``: nobody knows. boolean : answers are TRUE or not, and TRUE keeps the row.
    compares : nothing is to be decided: every row is for all arms.
    same : how far an answer agrees with the reference's. also : what else an arm has to meet before it serves.
    explore : what comparing may cost, as a share of what the reference alone would.
    levels : losses that may be proved; quarters of the room if there are none. offers : told what each of them would save.
    """

    arms: int
    costs: Costs
    room: Callable[[], float]
    took: Callable[[float], None]
    beside: Costs | None = None
    rows: Callable[[], float | None] = lambda: None
    boolean: bool = False
    compares: bool = False
    same: Callable[[Any, Any], float] = agreement
    also: Callable[[int], bool] = lambda _: True
    explore: float = EXPLORE_SHARE
    levels: Sequence[float] = ()
    offers: Callable[[Sequence[float]], None] = lambda _: None
    delta: float = DELTA
    seed: int = 42
    serving: int | None = None
    seen: int = 0
    notes: list[str] = field(default_factory=list)
    tallies: dict[int, Tally] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    _room: float = 0.0
    _open: int = 0
    _waits: bool = True
    _again: int = 0
    _left_in_wave: int = FIRST_WAVE
    _wave: list[tuple[Assignment, Mapping[int, Any]]] = field(default_factory=list)
    _audit: Bet | None = None
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.asked = [0] * self.arms
        self.tallies = {arm: Tally() for arm in range(1, self.arms)}
        self._look()
        self.levels = self.levels or tuple(self._room * part / 4 for part in (1, 2, 3, 4))

    @property
    def target(self) -> float:
        """Agreement that an arm has to prove, as things stand."""
        return 1.0 - self._room

    def _look(self) -> None:
        self._room = min(max(self.room(), 1e-6), 1.0 - 1e-6)
        for tally in self.tallies.values():
            if tally.certified is not None:
                tally.certified.enough = self._room + 1e-12

    def assign(self) -> Assignment | None:
        """Whom the next row asks; ``None``: not known before the wave under way has been answered."""
        if self.compares:
            return self._assigned((0, *self.tallies), 0, "profile")
        if self.serving == 0 and self.seen >= self._again:
            self._reopen()
        if self._waits and not self._few():
            self._waits = False
        if self._waits:
            return self._serving(0)
        if self.serving is not None:
            return self._serving(self.serving)
        if not self._left_in_wave:
            return None
        self._left_in_wave -= 1
        self._open += 1
        return self._assigned((0, *self._living()), 0, "profile")

    def _few(self) -> bool:
        """So few rows, as far as is known by now, that a perfect arm would have proved itself when most are answered."""
        expected = self.rows()
        coming = 2.0 * self.seen if expected is None else max(expected, float(self.seen))
        most = rows_to_win(1.0 - self.levels[-1], self.delta / MOST_CERTIFIED, 1.0)
        return coming < FIRST_WAVE + SMALL * most

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
            self._audited(arm, self.same(answers[arm], answers[0]) if arm in answers else 0.0)
        if self.compares:
            self._compare(assignment, answers)
        elif assignment.phase == "profile":
            self._wave.append((assignment, answers))
            self._open -= 1
            if not self._open and not self._left_in_wave:
                self._end_wave()

    def _end_wave(self) -> None:
        # In the order of rows, not of answers: the same rows decide the same, however fast who answered them.
        for assignment, answers in sorted(self._wave, key=lambda pair: pair[0].number):
            self._compare(assignment, answers)
        self._wave.clear()
        self._decide()

    def _compare(self, assignment: Assignment, answers: Mapping[int, Any]) -> None:
        for arm in assignment.arms[1:] if 0 in answers else ():
            # An arm that failed has not agreed.
            same = self.same(answers[arm], answers[0]) if arm in answers else 0.0
            self.tallies[arm].see(same, answers.get(arm), answers[0])

    def _audited(self, arm: int, same: float) -> None:
        if self._audit is None or self.serving != arm:
            return
        self._audit.see(same)
        if self._audit.won():
            self.notes.append(f"after {self.seen:,} rows audits disagreed too often: the reference serves again")
            self.tallies[arm].why = "disagreed in audits"
            self._settle(0)

    def _decide(self) -> None:
        costs = self.costs()
        for arm in self._living():
            self.tallies[arm].why = self._against(arm, costs)
        if all(tally.certified is None for tally in self.tallies.values()):
            self._select(costs)
        self.offers(
            [max([0.0, *(self._saves(arm, level, 0, costs) for arm in self._living())]) for level in self.levels]
        )
        self._look()
        best = self._best(costs)
        self._drop(best, costs)
        self._left_in_wave = min(self._wanted(), self._affordable(best, costs))
        if not self._left_in_wave:
            self._settle(best)

    def _against(self, arm: int, costs: Sequence[float]) -> str:
        tally = self.tallies[arm]
        if sum(share for loss, share in belief(tally.agreed, tally.rows) if loss <= self.levels[-1]) < HOPELESS:
            return f"agrees in {tally.mean():.0%} of {tally.rows:,} rows"
        return "" if costs[arm] < costs[0] else "costs no less than the reference"

    def _select(self, costs: Sequence[float]) -> None:
        """The first wave is over: those that go on are judged by later rows alone, with the error shared among them."""
        promise = self._promise(0, costs)
        best = sorted(promise, key=lambda arm: (-promise[arm], costs[arm], arm))
        for arm in best[MOST_CERTIFIED:]:
            self.tallies[arm].why = "others promise to save more"
        chosen = best[:MOST_CERTIFIED]
        for arm in chosen:
            self.tallies[arm].certified = Proof(self.levels, self.delta / len(chosen))

    def _drop(self, best: int, costs: Sequence[float]) -> None:
        """Arms from which less is expected than another wave with them costs."""
        for arm, saved in self._promise(best, costs).items():
            if arm != best and saved <= FIRST_WAVE * (costs[0] - costs[best] + costs[arm]):
                self.tallies[arm].why = TOO_DEAR

    def _promise(self, best: int, costs: Sequence[float]) -> dict[int, float]:
        """What each living arm is expected to save; a dear one is worth having only if none of the cheaper succeeds."""
        promise, fail = {}, 1.0
        for arm in sorted(self._living(), key=lambda arm: (costs[arm], arm)):
            promise[arm] = fail * self._saves(arm, self._room, best, costs)
            fail *= 1.0 - self._succeeds(arm)
        return promise

    def _succeeds(self, arm: int) -> float:
        """How likely it is that an arm loses clearly less than there is room for."""
        tally = self.tallies[arm]
        return sum(share for loss, share in belief(tally.agreed, tally.rows) if loss <= self._room * 0.7)

    def _saves(self, arm: int, loss: float, best: int, costs: Sequence[float]) -> float:
        """What an arm is expected to save against another that serves, once it has proved that it loses so much at most."""
        tally, left, a_row = self.tallies[arm], self._left(), costs[best] - costs[arm]
        if a_row <= 0:
            return 0.0
        delta = self.delta / MOST_CERTIFIED if tally.certified is None else tally.certified.delta
        to_go = 1.0 if tally.certified is None else 1.0 - tally.certified.share(loss)
        spent = costs[0] - costs[best] + costs[arm]
        return sum(
            share * max(0.0, (left - rows) * a_row - rows * spent)
            for true, share in belief(tally.agreed, tally.rows)
            if (rows := to_go * rows_to_win(1 - loss, delta, 1 - true)) < left
        )

    def _eligible(self, arm: int) -> bool:
        tally = self.tallies[arm]
        if tally.why or tally.certified is None or not tally.certified.won() or not self.also(arm):
            return False
        return not self.boolean or (tally.kept_theirs >= LEAST_POSITIVES and tally.f1() >= 1.0 - self._room)

    def _reopen(self) -> None:
        """Other sites may have left room since: arms that were too dear to prove for as little as there was may pay now."""
        self._again, room = self.seen + LOOK_AGAIN, self._room
        self._look()
        back = [tally for tally in self.tallies.values() if tally.why == TOO_DEAR and tally.certified is not None]
        if self._room <= room or not back:
            return
        self.serving = None
        for tally in back:
            tally.why = ""
        self._decide()

    def _best(self, costs: Sequence[float]) -> int:
        return min([0, *filter(self._eligible, self.tallies)], key=lambda arm: costs[arm])

    def _left(self) -> float:
        """Rows to come. Of a stream whose length nobody knows: as many again as have been."""
        expected = self.rows()
        return float(self.seen) if expected is None else max(0.0, expected - self.seen)

    def _wanted(self) -> int:
        """Rows after which an arm may have proved itself, if it is as good as it looks; 0: none has to."""
        waiting = [tally for arm, tally in self.tallies.items() if not tally.why and not self._eligible(arm)]
        return max(FIRST_WAVE, min(MOST_WAVE, math.ceil(min(map(self._to_go, waiting))))) if waiting else 0

    def _to_go(self, tally: Tally) -> float:
        assert tally.certified is not None, "all that live have been selected"
        looks = (tally.agreed + 1) / (tally.rows + 1)
        rows = rows_to_win(1 - self._room, tally.certified.delta, looks)
        return tally.rows if math.isinf(rows) else rows * (1 - tally.certified.share(self._room))

    def _affordable(self, best: int, costs: Sequence[float]) -> int:
        beside = costs if self.beside is None else self.beside()
        a_row = sum(beside[arm] for arm in self._living())
        spent = sum(self.asked[arm] * beside[arm] for arm in self.tallies)
        # An arm that has won pays for the search for a cheaper one out of what it will save.
        saved = PAYS_SHARE * (costs[0] - costs[best]) * self._left()
        allowed = self.explore * costs[0] * (self.seen + self._left()) + saved
        return max(0, int((allowed - spent) / a_row)) if a_row > 0 else MOST_WAVE

    def _settle(self, arm: int) -> None:
        self.serving = arm
        proof = self.tallies[arm].certified if arm else None
        self._audit = Bet(1.0 - proof.loss, self.delta, above=False) if proof else None
        self.took(proof.loss if proof else 0.0)
