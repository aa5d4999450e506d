"""Which arms a call site asks about a row: all of them while they are compared, then the cheapest that is good enough."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .agreement import agreement
from .assignment import Assignment, Phase
from .audits import Audits
from .bounds import Bet, Proof
from .chance import chance
from .prospects import Prospects, horizon_of
from .serving import Follows, Steady
from .tally import NOTHING, Earlier, Tally

FIRST_WAVE = 16
MOST_WAVE = 256
MOST_CERTIFIED = 3
AUDIT_SHARE = 0.02
EXPLORE_SHARE = 0.05
PAYS_SHARE = 1.0
DELTA = 0.05
LEAST_POSITIVES = 3
HOPELESS = 0.02
LOOK_AGAIN = 64
SMALL = 1.5
LATER = 1.2
SOON = 0.5
TOO_DEAR = "a proof would cost more than it saves"
_MAY_RETURN = ("", TOO_DEAR)


Costs = Callable[[], Sequence[float]]
"""What one question costs each arm, in one unit for all, as far as is known by now."""


@dataclass(slots=True)
class Chooser:
    """The state of one call site.

    Rows come in waves. In a wave some arms are asked beside the reference, whose answer is the row's; in the first, all are.
    Before each further wave those are selected of which most is expected, less what proving it costs; an arm that fails makes
    way for the next. Rows after its selection prove how much an arm loses at most (at ``delta`` over all arms ever selected);
    one whose loss fits into the room may serve. The cheapest does, once nothing is expected of going on. Comparing costs
    ``EXPLORE_SHARE`` of what the reference alone would, and more only out of what is saved or expected to be. While an arm
    serves, some rows are audited, and if a wager that it agrees less often than was proved is won, the reference serves again.
    From time to time it is seen whether other sites have left room, or need some: then comparing goes on.

    Parameters
    ----------
    arms : how many, the reference (0) included. costs : see :data:`Costs`.
    beside : the same where the reference is asked anyway, which an arm may ask, too; ``None``: no arm does.
    room : how much disagreement is allowed now. took : told how much of it a decision uses.
    rows : how many are expected by now; ``None``: nobody knows. boolean : answers are TRUE or not, and TRUE keeps the row.
    compares : nothing is to be decided: every row is for all arms.
    same : how far an answer agrees with the reference's. also : what else an arm has to meet before it serves.
    whole : an answer agrees or does not, never in part, so that proofs may be exact.
    explore : what comparing may cost, as a share of what the reference alone would.
    levels : losses that may be proved; quarters of the room if there are none. offers : told what each of them would save.
    spare : what the site should lose, as it is best for all, and what that saves: if it took more, rows may prove less.
    kept_room, kept_took : the same as ``room`` and ``took`` for 1 − F1 of the rows that are kept; ``None``: as ``room``.
    earlier : by arm, what earlier runs found. It selects, and its proof stands, unless the first wave is a surprise.
    follows : who follows what arms really cost, and says which of those that have proved themselves serves.
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
    whole: bool = False
    also: Callable[[int], bool] = lambda _: True
    explore: float = EXPLORE_SHARE
    levels: Sequence[float] = ()
    offers: Callable[[Sequence[float]], None] = lambda _: None
    spare: Callable[[], tuple[float, float]] = lambda: (1.0, 0.0)
    kept_room: Callable[[], float] | None = None
    kept_took: Callable[[float], None] = lambda _: None
    earlier: Mapping[int, Earlier] = field(default_factory=dict)
    follows: Follows = field(default_factory=Steady)
    delta: float = DELTA
    seed: int = 42
    serving: int | None = None
    seen: int = 0
    notes: list[str] = field(default_factory=list)
    tallies: dict[int, Tally] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    questions: Counter[Phase] = field(default_factory=Counter)
    _room: float = 0.0
    _open: int = 0
    _waits: bool = True
    _again: int = 0
    _left_in_wave: int = FIRST_WAVE
    _wave: list[tuple[Assignment, Mapping[int, Any]]] = field(default_factory=list)
    _audits: Audits = field(init=False)
    _compared: tuple[int, ...] = ()
    _selected: int = 0
    _instead: float = 0.0
    _stands: bool = False
    _lost: float = 0.0

    def __post_init__(self) -> None:
        self.asked = [0] * self.arms
        self.tallies = {arm: Tally(earlier=self.earlier.get(arm, NOTHING)) for arm in range(1, self.arms)}
        self._audits = Audits(self.tallies)
        self._look()
        self.levels = self.levels or tuple(self._room * part / 4 for part in (1, 2, 3, 4))
        self._stand()
        self._compared = tuple(self._living())

    def _stand(self) -> None:
        """Proofs of earlier runs. All their rows count, also those that selected: so all arms that they know share the error."""
        known = {arm: tally for arm, tally in self.tallies.items() if tally.earlier.rows >= FIRST_WAVE}
        for tally in known.values():
            if self._prospects((), 0).hopeless(tally, self.levels[-1], HOPELESS):
                tally.why = f"agreed in {tally.earlier.agreed / tally.earlier.rows:.0%} of {tally.earlier.rows:,.0f} rows of earlier runs"
        alive = [tally for tally in known.values() if not tally.why]
        for tally in alive:
            tally.certified = Proof(self.levels, self.delta / 2 / len(alive))
            tally.certified.credit(tally.earlier.agreed, tally.earlier.rows)
            tally.doubt = Bet(1.0 - min(tally.certified.loss, self.levels[-1]), self.delta, above=False)
        self._stands = bool(alive)
        self.delta /= 2 if alive else 1
        self._look()

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
        if self.serving is not None and self.seen >= self._again:
            self._reopen()
        if self._waits and not self._few():
            self._waits = False
        if self._waits:
            return self._serving(0)
        if self.serving is not None:
            arm = self.follows.who(self.seen, self.serving, self.proven)
            if arm is None:
                return None
            if arm != self.serving:
                self._settle(arm)
            self._see_audits()
            return self._serving(self.serving)
        if not self._left_in_wave:
            return None
        self._left_in_wave -= 1
        self._open += 1
        return self._assigned((0, *self._compared), 0, "profile")

    def _few(self) -> bool:
        """So few rows, as far as is known by now, that a perfect arm would have proved itself when most are answered."""
        expected = self.rows()
        coming = 2.0 * self.seen if expected is None else max(expected, float(self.seen))
        prospects = self._prospects((), 0)
        most = min(
            (prospects.rows(self.tallies[arm], self.levels[-1], 0.0) for arm in self._living()), default=math.inf
        )
        return coming < FIRST_WAVE + SMALL * most

    def _living(self) -> list[int]:
        return [arm for arm, tally in self.tallies.items() if tally.why in _MAY_RETURN]

    def _serving(self, arm: int) -> Assignment:
        # By the row's number alone: a rerun that knows more audits no rows that this one does not.
        if arm and chance(self.seed, self.seen) < AUDIT_SHARE:
            return self._assigned((0, arm), 0, "audit")
        return self._assigned((arm,), arm, "serve")

    def _assigned(self, arms: tuple[int, ...], serve: int, phase: Phase) -> Assignment:
        self.seen += 1
        self._lost += self._loss(serve) if serve else 0.0
        self.follows.begun(self.seen)
        self.questions[phase] += len(arms)
        for arm in arms:
            self.asked[arm] += 1
        return Assignment(self.seen, arms, serve, phase)

    def learn(self, assignment: Assignment, answers: Mapping[int, Any]) -> None:
        """What came of a row: the answer of each arm that gave one. Without the reference's nothing can be compared."""
        if assignment.phase == "audit" and 0 in answers:
            (_, arm) = assignment.arms
            self._audits.hear(assignment.number, arm, self.same(answers[arm], answers[0]) if arm in answers else 0.0)
            if self.serving is not None:
                self._see_audits()
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
            tally = self.tallies[arm]
            tally.see(same, answers.get(arm), answers[0])
            if tally.surprising(same):
                self.notes.append(
                    f"after {self.seen:,} rows an arm agreed less than in earlier runs: they no longer count"
                )

    def _see_audits(self) -> None:
        if self._audits.lost(self.follows.known):
            self.notes.append(f"after {self.seen:,} rows audits disagreed too often: the reference serves again")
            self.tallies[self.serving or 0].why = "disagreed in audits"
            self._settle(0)

    def _decide(self) -> None:
        """A wave is over: who serves, or who goes on being compared, and for how many rows."""
        costs = self.costs()
        for arm in self._living():
            self.tallies[arm].why = self._against(arm, costs)
        self._offer(costs)
        best = self._best(costs)
        if self._stands and not best:
            self._start_anew()
        wave = 0 if self._stands else self._next_wave(best, costs)
        if wave:
            self._left_in_wave = wave
        else:
            self._settle(best)

    def _start_anew(self) -> None:
        """No proof of earlier runs stands: rows to come have to give one. What was found still says what to expect."""
        self._stands = False
        for tally in self.tallies.values():
            tally.certified = None

    def _next_wave(self, best: int, costs: Sequence[float]) -> int:
        """Select who is compared in it; its rows, 0 if nothing is expected of it."""
        prospects = self._prospects(costs, best)
        gains = self._gains(best, prospects)
        self._compared = tuple(sorted(gains, key=lambda arm: (-gains[arm], costs[arm], arm))[:MOST_CERTIFIED])
        if not gains:
            return 0
        for arm in self._compared:
            self._judge(arm)
        rows = min(prospects.wanted(self.tallies[arm], self._goal(arm, best)) for arm in self._compared)
        wanted = max(FIRST_WAVE, min(MOST_WAVE, math.ceil(rows)))
        wave = min(wanted, self._affordable(best, costs, max(gains.values())))
        self._instead += wave * (costs[0] - costs[best])
        return wave

    def _gains(self, best: int, prospects: Prospects) -> dict[int, float]:
        """Arms from which more is expected than another wave with them costs, and how much."""
        costs = prospects.costs
        open_ = {arm: self.tallies[arm] for arm in self._living() if arm != best and not self._eligible(arm)}
        gains = prospects.promises(open_, self._room)
        goal, freed = self.spare()
        if best and 0 < goal < self._loss(best) and prospects.wanted(self.tallies[best], goal) < self._left() * SOON:
            gains[best] = freed
        return {
            arm: gain
            for arm, gain in gains.items()
            if gain > FIRST_WAVE * (costs[0] - costs[best] + costs[arm] * (arm != best))
        }

    def _goal(self, arm: int, best: int) -> float:
        """The loss that an arm is to prove: what there is room for; of who may serve already, what is best for all."""
        return self.spare()[0] if arm == best else self._room

    def _loss(self, arm: int) -> float:
        proof = self.tallies[arm].certified
        return 1.0 if proof is None else proof.loss

    def _offer(self, costs: Sequence[float]) -> None:
        living = {arm: self.tallies[arm] for arm in self._living()}
        self.offers(self._prospects(costs, 0).offer(living, self.levels))

    def _prospects(self, costs: Sequence[float], best: int) -> Prospects:
        kept_room = self._kept_room() if self.boolean else None
        horizon = horizon_of(None if self.rows() is None else self._left()) if self.whole else None
        return Prospects(costs, self._left(), best, self._next_delta(), kept_room, horizon)

    def _kept_room(self) -> float:
        return self._room if self.kept_room is None else self.kept_room()

    def _next_delta(self) -> float:
        """Of the next arm that is selected: half of what is left."""
        return self.delta * 0.5 ** (self._selected + 1)

    def _judge(self, arm: int) -> None:
        """From now on rows prove: those that selected the arm do not count."""
        tally = self.tallies[arm]
        if tally.certified is None:
            tally.certified = self._prospects((), 0).proof(self.levels)
            tally.certified.enough = self._room + 1e-12
            self._selected += 1

    def _against(self, arm: int, costs: Sequence[float]) -> str:
        tally = self.tallies[arm]
        if self._prospects(costs, 0).hopeless(tally, self.levels[-1], HOPELESS):
            agreed, rows = tally.known
            return f"agrees in {agreed / rows:.0%} of {rows:,.0f} rows"
        return "" if costs[arm] < costs[0] else "costs no less than the reference"

    def _eligible(self, arm: int) -> bool:
        tally = self.tallies[arm]
        if tally.why or tally.certified is None or not tally.certified.won() or not self.also(arm):
            return False
        return not self.boolean or (tally.kept[0] >= LEAST_POSITIVES and tally.lost_f1 <= self._kept_room())

    def _reopen(self) -> None:
        """Other sites may have left room since, or need some: arms that were not worth a proof may be now."""
        self._again = max(self.seen + LOOK_AGAIN, int(self.seen * LATER))
        self._take()
        self._look()
        costs = self.costs()
        if self._stands and self.serving:
            return
        for arm in self._living():
            self.tallies[arm].why = ""
        self._offer(costs)
        best = self._best(costs)
        if wave := self._next_wave(best, costs):
            self.serving, self._left_in_wave = None, wave
        elif best != self.serving:
            self._settle(best)
        else:
            self._leave(best)

    def proven(self) -> list[int]:
        """Who may serve: the reference, and arms that lose no more than there is room for by now."""
        self._look()
        return [0, *filter(self._eligible, self.tallies)]

    def _best(self, costs: Sequence[float]) -> int:
        return self.follows.best(self.seen, self.serving, self.proven(), costs)

    def _left(self) -> float:
        """Rows to come. Of a stream whose length nobody knows: as many again as have been."""
        expected = self.rows()
        return float(self.seen) if expected is None else max(0.0, expected - self.seen)

    def _affordable(self, best: int, costs: Sequence[float], gain: float) -> int:
        beside = costs if self.beside is None else self.beside()
        a_row = sum(beside[arm] for arm in self._compared)
        a_row += costs[0] - costs[best]
        spent = sum(tally.rows * beside[arm] for arm, tally in self.tallies.items()) + self._instead
        # What is saved, or expected to be, pays for the search.
        saved = PAYS_SHARE * max((costs[0] - costs[best]) * self._left(), gain)
        allowed = self.explore * costs[0] * (self.seen + self._left()) + saved
        return max(0, int((allowed - spent) / a_row)) if a_row > 0 else MOST_WAVE

    def _leave(self, arm: int) -> None:
        """Say why the others are not compared any more."""
        for other in self._living():
            if other != arm and not self._eligible(other):
                self.tallies[other].why = TOO_DEAR

    def _settle(self, arm: int) -> None:
        self.serving, self._again = arm, max(self._again, self.seen + LOOK_AGAIN)
        self._leave(arm)
        proof = self.tallies[arm].certified if arm else None
        self._audits.begin(arm, proof.loss if proof else None, self.delta)
        self._take()
        if self.boolean:
            self.kept_took(self.tallies[arm].lost_f1 if arm else 0.0)

    def _take(self) -> None:
        """Rows that are answered may have lost what they may have lost, whoever serves from now on, and however many come."""
        self.took(max(self._loss(self.serving) if self.serving else 0.0, self._lost / max(1, self.seen)))
