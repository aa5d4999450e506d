"""Arms of a call site in worlds whose truth is known."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.search.agreement import agreement
from anserdb.optimizer.search.bounds import Bet, Proof, wilson
from anserdb.optimizer.search.chooser import AUDIT_SHARE, EXPLORE_SHARE, FIRST_WAVE, Chooser
from anserdb.optimizer.search.loss import PARTS, LossBudget


def _ignore(loss: float) -> None:
    del loss


@dataclass
class _Run:
    chooser: Chooser
    cost: float
    agreed: float


def _run(accuracies: list[float], costs: list[float], *, rows: int = 1000, target: float = 0.9, seed: int = 0) -> _Run:
    """Rows with labels a, b and c; arm n + 1 is right with its probability; costs are relative to the reference alone."""
    chance = random.Random(seed)
    chooser = Chooser(len(costs), lambda: costs, lambda: 1 - target, _ignore, rows=lambda: rows, seed=seed)
    spent = agreed = 0.0
    for _ in range(rows):
        truth = chance.choice("abc")
        said: dict[int, Any] = {n: truth if chance.random() < a else "-" for n, a in enumerate(accuracies, 1)} | {
            0: truth
        }
        assignment = chooser.assign()
        assert assignment is not None  # a row at a time always ends a wave
        spent += sum(costs[arm] for arm in assignment.arms)
        chooser.learn(assignment, {arm: said[arm] for arm in assignment.arms})
        agreed += said[assignment.serve] == truth
    return _Run(chooser, spent / (rows * costs[0]), agreed / rows)


def test_the_target_is_met_and_money_is_saved() -> None:
    runs = [_run([0.97, 0.99], [1.0, 0.04, 0.2], seed=seed) for seed in range(40)]
    assert all(run.agreed >= 0.9 for run in runs)
    assert sum(run.cost for run in runs) / 40 < 0.35


def test_useless_arms_cost_little() -> None:
    for seed in range(40):
        run = _run([0.6, 0.7], [1.0, 0.1, 0.3], seed=seed)
        assert run.chooser.serving == 0
        assert run.cost <= 1 + EXPLORE_SHARE
        assert run.agreed == 1.0


def test_an_arm_below_the_target_is_seldom_believed() -> None:
    # At a true agreement of exactly the target, 5 % of wagers may be won; 200 runs, binomial 99 % quantile.
    served = sum(_run([0.9], [1.0, 0.01], rows=400, seed=seed).chooser.serving == 1 for seed in range(200))
    assert served <= 18


def test_the_dearer_arm_is_not_even_tried_long() -> None:
    run = _run([1.0], [1.0, 1.0])
    assert run.chooser.serving == 0
    assert run.chooser.tallies[1].why == "costs no less than the reference"
    assert run.chooser.asked[1] == FIRST_WAVE


def test_drift_brings_the_reference_back() -> None:
    chooser = Chooser(2, lambda: [1.0, 0.01], lambda: 0.1, _ignore, rows=lambda: 100_000, seed=3)
    agreed_after = 0
    for row in range(20_000):
        assignment = chooser.assign()
        assert assignment is not None
        good = row < 2_000
        chooser.learn(assignment, {arm: "x" if arm == 0 or good else "y" for arm in assignment.arms})
        agreed_after += (not good) and assignment.serve == 0 and assignment.phase == "serve"
    assert chooser.serving == 0
    assert "audits disagreed" in chooser.notes[0]
    assert agreed_after > 15_000


def test_rows_wait_for_the_wave_under_way() -> None:
    chooser = Chooser(2, lambda: [1.0, 0.1], lambda: 0.1, _ignore, rows=lambda: 1000)
    wave = [chooser.assign() for _ in range(FIRST_WAVE)]
    assert chooser.assign() is None
    for assignment in wave:
        assert assignment is not None
        chooser.learn(assignment, {0: True, 1: True})
    assert chooser.assign() is not None


def test_a_filter_has_to_have_kept_rows_that_the_reference_keeps() -> None:
    # It says FALSE to everything, and agrees in 95 % of the rows.
    chance = random.Random(1)
    chooser = Chooser(2, lambda: [1.0, 0.01], lambda: 0.1, _ignore, rows=lambda: 2000, boolean=True)
    for _ in range(2000):
        assignment = chooser.assign()
        assert assignment is not None
        chooser.learn(assignment, {0: chance.random() < 0.05, 1: False})
    assert chooser.serving == 0


def test_an_arm_that_fails_has_not_agreed() -> None:
    chooser = Chooser(2, lambda: [1.0, 0.01], lambda: 0.1, _ignore, rows=lambda: 2000)
    for _ in range(200):
        assignment = chooser.assign()
        assert assignment is not None
        chooser.learn(assignment, {0: "x"})
    assert chooser.serving == 0


def test_audits_are_a_small_share() -> None:
    run = _run([1.0], [1.0, 0.01], rows=5000)
    assert run.chooser.serving == 1
    assert run.chooser.asked[0] < 200 + 2 * AUDIT_SHARE * 5000


def test_what_a_site_leaves_is_free_for_the_next() -> None:
    budget = LossBudget(0.1, 2)
    assert budget.room("a") == pytest.approx(0.05)
    budget.take("a", 0.0)
    assert budget.room("b") == pytest.approx(0.1)


def test_a_fair_wager_is_seldom_won() -> None:
    won = 0
    for seed in range(400):
        chance, bet = random.Random(seed), Bet(0.9, 0.05)
        for _ in range(500):
            bet.see(float(chance.random() < 0.9))
            if bet.won():
                won += 1
                break
    assert won <= 31  # 5 %, binomial 99 % quantile of 400


def test_wilson_holds_the_share() -> None:
    low, high = wilson(90, 100)
    assert low < 0.9 < high


@pytest.mark.parametrize(
    ("mine", "reference", "expected"),
    [
        (True, True, 1.0),
        (None, True, 0.0),
        (None, None, 1.0),
        ("Yes ", "yes", 1.0),
        (1, 1.0, 1.0),
        ({"a": 1, "b": "x"}, {"a": 1, "b": "y"}, 0.5),
        ({}, {"a": None}, 1.0),
        (["a", "b"], ["b", "c"], 1 / 3),
        ([], [], 1.0),
        ("1", 1, 0.0),
    ],
)
def test_agreement(mine: Any, reference: Any, expected: float) -> None:
    assert agreement(mine, reference) == pytest.approx(expected)


def _false_proofs(least: float, mean: float, believes: Any, runs: int = 200, rows: int = 400) -> int:
    """Runs in which it is believed at some time that the loss is below 1 − ``least`` though the mean is below ``least``."""
    wrong = 0
    for seed in range(runs):
        chance, seen = random.Random(seed), believes()
        for _ in range(rows):
            if seen(float(chance.random() < mean)):
                wrong += 1
                break
    return wrong


def _by_proof() -> Any:
    proof = Proof([0.025, 0.05, 0.075, 0.1], 0.05)

    def see(x: float) -> bool:
        proof.see(x)
        return proof.won()

    return see


def _by_mean() -> Any:
    seen: list[float] = []

    def see(x: float) -> bool:
        seen.append(x)
        return len(seen) >= FIRST_WAVE and sum(seen) / len(seen) >= 0.9

    return see


def test_what_is_not_so_is_seldom_proved_however_often_one_looks() -> None:
    assert _false_proofs(0.9, 0.899, _by_proof) <= 18  # 5 %, binomial 99 % quantile of 200


def test_a_threshold_on_the_mean_would_be_caught() -> None:
    assert _false_proofs(0.9, 0.899, _by_mean) > 100


@given(st.lists(st.booleans(), min_size=1, max_size=200))
@settings(max_examples=25, deadline=None)
def test_a_proof_never_takes_a_claim_back_and_smaller_losses_come_later(agreed: list[bool]) -> None:
    both, large, last = Proof([0.05, 0.2], 0.1), Proof([0.2], 0.1), 1.0
    for same in agreed:
        both.see(float(same))
        large.see(float(same))
        assert both.loss <= large.loss
        assert both.loss <= last
        last = both.loss


@given(
    st.lists(st.lists(st.floats(0, 10), min_size=PARTS, max_size=PARTS), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_losses_of_all_sites_never_exceed_the_total(offers: list[list[float]], chance: random.Random) -> None:
    budget = LossBudget(0.1, len(offers))
    sites = list(range(len(offers)))
    chance.shuffle(sites)
    taken = 0.0
    for site in sites:
        if chance.random() < 0.7:
            budget.offer(str(site), sorted(offers[site]))
        loss = budget.room(str(site))
        budget.take(str(site), loss)
        taken += loss
    assert taken <= 0.1 + 1e-9


def test_loss_goes_where_it_saves_most() -> None:
    budget = LossBudget(0.1, 2)
    budget.offer("cheap", [0.01 * part for part in range(1, PARTS + 1)])
    budget.offer("dear", [part >= PARTS * 3 / 4 and 10.0 for part in range(1, PARTS + 1)])
    assert budget.room("dear") >= 0.075
    assert budget.room("cheap") <= 0.025 + 1e-9


def test_room_that_another_site_leaves_brings_arms_back() -> None:
    room = [0.001]
    chooser = Chooser(2, lambda: [1.0, 0.05], lambda: room[0], _ignore, rows=lambda: 5000, levels=[0.02, 0.1])
    for row in range(2000):
        room[0] = 0.001 if row < 500 else 0.1
        assignment = chooser.assign()
        assert assignment is not None
        assert row >= 500 or not assignment.serve
        chooser.learn(assignment, dict.fromkeys(assignment.arms, "x"))
    assert chooser.serving == 1


def test_few_rows_are_not_spent_on_proofs_that_come_too_late() -> None:
    run = _run([1.0, 1.0], [1.0, 0.1, 0.3], rows=60)
    assert run.cost == 1.0
    assert run.chooser.asked == [60, 0, 0]
