"""Proofs that earlier runs lend: simulated runs, one after the other, with arms whose true loss is just above what is allowed.

A run may be wrong with probability ``DELTA`` at most. Of independent worlds, more than ``MOST_WRONG`` would be wrong by chance
in one of a thousand simulations of a rule that is wrong as often as it may be; that margin was fixed before the first run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import comb
from random import Random
from typing import Literal

import pytest

from anserdb.engine.store import Store
from anserdb.engine.store.statistics import TaskStatistics
from anserdb.optimizer.search.chooser import DELTA, FIRST_WAVE, Chooser
from anserdb.optimizer.search.tally import Earlier

ALLOWED, TRUE_LOSS = 0.3, 0.305
WORLDS, RUNS, ROWS, ARMS = 60, 7, 40, 3

Rows = Literal["other rows each time", "the same rows again", "some rows again"]


def quantile(n: int, p: float, beyond: float) -> int:
    """The least number that chance exceeds with a smaller probability than ``beyond``."""
    left, k = 1.0, -1
    while left > beyond:
        k += 1
        left -= comb(n, k) * p**k * (1 - p) ** (n - k)
    return k


MOST_WRONG = quantile(WORLDS, DELTA, 0.001)


@dataclass
class World:
    """A table whose rows are there before anybody asks; what earlier runs compared is known."""

    number: int
    losses: Sequence[float]
    data: str = "data"
    compared: set[tuple[int, int]] = field(default_factory=set)
    chances: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        dice = Random(f"world {self.number}")
        self.chances = [[dice.random() for _ in self.losses] for _ in range(RUNS * ROWS)]

    def agrees(self, row: int, arm: int) -> bool:
        return self.chances[row][arm - 1] >= self.losses[arm - 1]

    def run(self, rows: range, earlier: dict[int, Earlier]) -> tuple[bool, list[TaskStatistics]]:
        """Whether an arm that is not good enough has served, and what there is to remember."""
        costs = [1.0, *(0.02 * n for n in range(1, len(self.losses) + 1))]
        chooser = Chooser(
            len(costs),
            lambda: costs,
            lambda: ALLOWED,
            lambda _: None,
            rows=lambda: float(len(rows) * 20),  # many are still to come: a proof is always worth its cost
            levels=[ALLOWED / 2, ALLOWED],
            earlier=earlier,
            seed=self.number,
        )
        wrong, new = False, [0] * len(costs)
        for row in rows:
            assignment = chooser.assign()
            assert assignment is not None
            wrong = wrong or (assignment.serve > 0 and self.losses[assignment.serve - 1] > ALLOWED)
            chooser.learn(assignment, {arm: not arm or self.agrees(row, arm) for arm in assignment.arms})
            for arm in assignment.arms[1:] if 0 in assignment.arms else ():
                new[arm] += (row, arm) not in self.compared
                self.compared.add((row, arm))
        return wrong, [self._remembered(chooser, arm, new[arm]) for arm in chooser.tallies]

    def _remembered(self, chooser: Chooser, arm: int, new: int) -> TaskStatistics:
        """As ``engine/physical/learning.py`` has it."""
        tally = chooser.tallies[arm]
        rows, agreed = float(tally.rows + tally.audited), tally.agreed + tally.agreed_in_audits
        fresh = min(1.0, new / rows) if rows else 0.0
        return TaskStatistics(
            f"{self.number}", f"{arm}", self.data, "", "", "", "", compared=rows, agreed=agreed, fresh=fresh
        )


def known(store: Store, world: World) -> dict[int, Earlier]:
    """As ``engine/physical/learnt.py`` has it: of this data alone."""
    found = [each for each in store.statistics.of(f"{world.number}") if each.data == world.data and each.compared]
    return {int(each.arm): Earlier(each.compared, each.agreed) for each in found}


def wrong_by_run(kind: Rows, *, good_before: bool = False, twice: bool = False) -> list[int]:
    """Of the first runs, of the second, …: in how many worlds an arm served that is not good enough.

    Parameters
    ----------
    good_before : in the first run arms were good, and the table was another. twice : a mistake: all that is compared counts as new.
    """
    worlds, wrong = [World(number, [TRUE_LOSS] * ARMS) for number in range(WORLDS)], [0] * RUNS
    step = {"other rows each time": ROWS, "the same rows again": 0, "some rows again": ROWS // 2}[kind]
    with Store.open(None) as store:
        for run in range(RUNS):
            lessons: list[TaskStatistics] = []
            for world in worlds:
                good = good_before and not run
                world.data, world.losses = ("old" if good else "new"), [0.02 if good else TRUE_LOSS] * ARMS
                served, lesson = world.run(range(run * step, run * step + ROWS), known(store, world))
                wrong[run] += served
                lessons += [replace(each, fresh=1.0) if twice else each for each in lesson if each.compared]
            store.statistics.add(lessons).result()
    return wrong


@pytest.mark.parametrize("kind", ["other rows each time", "the same rows again", "some rows again"])
def test_each_run_is_seldom_wrong(kind: Rows) -> None:
    assert max(wrong_by_run(kind)) <= MOST_WRONG


def test_what_was_proved_of_another_table_is_lent_to_nobody() -> None:
    assert max(wrong_by_run("other rows each time", good_before=True)) <= MOST_WRONG


def test_counting_rows_twice_would_be_caught() -> None:
    assert wrong_by_run("the same rows again", twice=True)[-1] > MOST_WRONG


def test_good_arms_are_lent_their_proof() -> None:
    world = World(1, [0.01, 0.02])
    with Store.open(None) as store:
        waves = []
        for run in range(3):
            before = len(world.compared)
            _, lesson = world.run(range(run * ROWS, (run + 1) * ROWS), known(store, world))
            store.statistics.add(lesson).result()
            waves.append(len(world.compared) - before)
    assert waves[0] > 3 * FIRST_WAVE
    assert max(waves[1:]) <= 2 * FIRST_WAVE + 0.04 * ROWS  # the first wave with both, and audits
