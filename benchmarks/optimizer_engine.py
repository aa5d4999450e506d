"""The engine's search on a SIMULATED world: its choosers, its loss budget and its memo, row by row, every question paid for."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from anserdb.engine.physical.meetings import FIRST, following
from anserdb.optimizer.search.chooser import DELTA, Chooser
from anserdb.optimizer.search.loss import LossBudget
from anserdb.optimizer.search.memo import Memo, Site
from anserdb.optimizer.search.point import Point, Step

from .optimizer_world import MIN_QUALITY, Truth, World

PILOT = 32
"""Rows that every call answers, whatever the others said: by then it is known what filters keep."""
REORDER = 256

Make = Callable[[Truth, LossBudget, Callable[[], float | None], int], Chooser]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run. ``plan``: that it ended with, at its true cost. ``paid``: for all that was asked, sampling and audits included.
    ``choosers``: of each call, as they ended."""

    plan: Point
    paid: float
    wrong: float
    choosers: Mapping[str, Chooser]


def engine(call: Truth, budget: LossBudget, rows: Callable[[], float | None], seed: int) -> Chooser:
    """The engine's own chooser of a call."""
    costs = [arm.money for arm in call.site.arms]
    label = call.site.label
    return Chooser(
        len(costs), lambda: costs, partial(budget.room, label), partial(budget.take, label), rows=rows,
        boolean=call.filters, whole=True, seed=seed, delta=DELTA / budget.sites,
        levels=budget.levels, offers=partial(budget.offer, label),spare=partial(budget.spare, label),
        kept_room=partial(budget.kept.room, label), kept_took=partial(budget.kept.take, label),
    )  # fmt: skip


class Query:
    """One run of a world's query."""

    def __init__(self, world: World, seed: int, make: Make, shared: type[LossBudget]) -> None:
        self._world, self._chance = world, random.Random(f"rows {seed}")
        self._budget = budget = shared(1 - MIN_QUALITY, len(world.calls))
        budget.exchange()
        self._come, self._due = 0, FIRST
        self._seen = {call.site.label: [1.0, 2.0] for call in world.calls}  # kept, asked: a Beta(1, 1)
        self._choosers = {
            call.site.label: make(call, budget, partial(self._expected, call), seed) for call in world.calls
        }
        self._reached = dict.fromkeys(self._choosers, 0)
        self._order = [call.site.label for call in world.calls]
        self._calls = {call.site.label: call for call in world.calls}
        self._paid = 0.0
        self._wrong = 0

    def run(self) -> Outcome:
        """All rows."""
        for number in range(self._world.rows):
            if number >= PILOT and number % REORDER == PILOT:
                self._order = [step.site for step in self._plan()]
            if number == self._due:
                self._budget.exchange()
                self._due = following(number)
            self._row(piloting=number < PILOT)
        chosen = self._world.cost(self._plan())
        return Outcome(chosen, self._paid, self._wrong / self._world.rows, self._choosers)

    def _expected(self, call: Truth) -> float:
        label = call.site.label
        return self._world.rows * self._reached[label] / max(1, self._come)

    def _row(self, *, piloting: bool) -> None:
        self._come += 1
        rows = {label: call.row(self._chance) for label, call in self._calls.items()}
        kept = same = True
        for label in self._order:
            if kept or piloting:
                answer = self._ask(label, rows[label])
                same = same and answer == rows[label][0]
                kept = kept and answer is not False
        theirs = all(said[0] is not False for said in rows.values())
        self._wrong += not same if kept and theirs else kept != theirs

    def _ask(self, label: str, said: tuple[object, ...]) -> object:
        chooser, call = self._choosers[label], self._calls[label]
        self._reached[label] += 1
        assignment = chooser.assign()
        assert assignment is not None, "a row at a time always ends a wave"
        self._paid += sum(call.site.arms[arm].money for arm in assignment.arms)
        chooser.learn(assignment, {arm: said[arm] for arm in assignment.arms})
        answer = said[assignment.serve]
        seen = self._seen[label]
        seen[0], seen[1] = seen[0] + (answer is not False), seen[1] + 1
        return answer

    def _plan(self) -> tuple[Step, ...]:
        """The cheapest order by what has been seen, each call by the arm that serves it."""
        sites = [self._as_known(call) for call in self._world.calls]
        return min(Memo(sites, self._world.rows).plans(), key=lambda point: point.money).steps

    def _as_known(self, call: Truth) -> Site:
        site = call.site
        kept, asked = self._seen[site.label]
        serving = self._choosers[site.label].serving or 0
        return replace(site, arms=(site.arms[serving],), keeps=kept / asked if call.filters else 1.0)
