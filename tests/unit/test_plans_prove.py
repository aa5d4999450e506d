"""What a plan may lose holds for all its calls together, and comparing goes on as long as that is worth it. Worlds are simulated."""

from __future__ import annotations

import random
from functools import partial

import pytest

from anserdb.optimizer.search.chooser import DELTA, Chooser
from anserdb.optimizer.search.loss import LossBudget
from anserdb.optimizer.search.prospects import Prospects
from anserdb.optimizer.search.tally import Tally

LIMIT, ROWS, RUNS = 0.1, 600, 60


def _right(losses: tuple[float, float], together: bool, chance: random.Random) -> tuple[bool, bool]:
    """Whether the arm of each call agrees about a row; ``together``: a row that is hard for one call is hard for the other."""
    hard = chance.random()
    return hard >= losses[0], (hard if together else chance.random()) >= losses[1]


def _plan_loses(losses: tuple[float, float], *, together: bool, seed: int, whole: bool = True) -> float:
    """What the arms that serve at the end truly lose; each of two calls has one arm beside its reference."""
    budget, chance = LossBudget(LIMIT, 2), random.Random(seed)
    choosers = [
        Chooser(
            2, lambda: (1.0, 0.05), partial(budget.room, name), partial(budget.take, name), rows=lambda: ROWS,
            whole=whole, levels=budget.levels, offers=partial(budget.offer, name), spare=partial(budget.spare, name),
            delta=DELTA / 2, seed=seed,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    for _ in range(ROWS):
        for chooser, right in zip(choosers, _right(losses, together, chance), strict=True):
            assignment = chooser.assign()
            assert assignment is not None
            chooser.learn(assignment, {0: "x", 1: "x" if right else "y"})
    return sum(loss for loss, chooser in zip(losses, choosers, strict=True) if chooser.serving)


@pytest.mark.parametrize(("together", "whole"), [(True, True), (False, True), (True, False)])
def test_a_plan_seldom_loses_more_than_it_may_whether_calls_err_together_or_not(together: bool, whole: bool) -> None:
    wrong = 0
    for seed in range(RUNS):
        losses = random.Random(seed).choice([(0.051, 0.051), (0.02, 0.081), (0.101, 0.101)])
        wrong += _plan_loses(losses, together=together, seed=seed, whole=whole) > LIMIT
    assert wrong <= 8  # 5 %, binomial 99 % quantile of 60


def test_plans_that_lose_little_are_found_all_the_same() -> None:
    losses = (0.005, 0.005)
    found = [_plan_loses(losses, together=True, seed=seed) for seed in range(10)]
    assert sum(found) >= 0.9 * 10 * sum(losses)


def test_a_proof_is_worth_what_the_next_run_saves_too() -> None:
    tally = Tally()
    for _ in range(40):
        tally.see(1.0, "x", "x")
    few, many = (
        float(Prospects((1.0, 0.35, 0.4), left, 2, DELTA, None, None).saves(1, tally, [LIMIT], 2)[0])
        for left in (300.0, 600.0)
    )
    # About 40 rows at 0.95 each for 0.05 a row saved: more than 600 rows would bring, less than 600 now and 600 in the next run.
    assert few == 0.0
    assert many > 0.0
