"""Who serves, by what arms really cost: on SCRIPTED costs, row by row."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.search.assignment import Assignment
from anserdb.optimizer.search.chooser import Chooser
from anserdb.optimizer.search.serving import DWELL, FAILED, HYSTERESIS, REST, WANTING, Row, Serving, Steady
from anserdb.optimizer.search.spending import BLOCK, Spending
from anserdb.optimizer.search.tally import Earlier

PLANNED = [1.0, 0.2, 0.3]


def drive(
    cost: Callable[[int, int], float],
    rows: int,
    *,
    planned: Sequence[float] = PLANNED,
    lag: int | None = None,
    down: Callable[[int], bool] = lambda _: False,
    fails: Callable[[int, int], bool] = lambda arm, row: False,
) -> tuple[Serving, list[int]]:
    """Row by row. ``cost`` : by arm and row, in proportion to what is planned if there is a ``lag``. Who served each row."""
    now = [0]
    serving = Serving(len(planned), lambda: planned, lambda _: lag, lambda arm: down(now[0]) and arm == 1)
    serves, served = 1, []
    for row in range(rows):
        now[0] = row
        arm = serving.who(row, serves, lambda: range(len(planned)))
        assert arm is not None, "a row at a time never waits"
        serves = arm
        served.append(arm)
        serving.begun(row)
        serving.served(arm, failed=fails(arm, row))
        serving.ended(row, Row({arm: cost(arm, row)}))
    return serving, served


def test_as_planned_nobody_takes_over() -> None:
    serving, served = drive(lambda arm, _: PLANNED[arm], 2000)
    assert (set(served), serving.replans) == ({1}, [])


def test_noise_is_no_reason() -> None:
    dice = random.Random(1)
    serving, _ = drive(lambda arm, _: PLANNED[arm] * dice.uniform(0.5, 1.5), 5000)
    assert serving.replans == []


@pytest.mark.parametrize("lag", [None, 64])
def test_a_surprise_is_answered_within_two_blocks(lag: int | None) -> None:
    def cost(arm: int, row: int) -> float:
        slow = 4.0 if arm == 1 and row >= 320 else 1.0
        return slow * (PLANNED[arm] if lag is None else 1.0)

    serving, served = drive(cost, 500, lag=lag)
    (replan,) = serving.replans
    assert (replan.left, replan.taken) == (1, 2)
    assert 320 < replan.row <= 320 + 2 * BLOCK + (lag or 0)
    assert replan.why.endswith(" 4 times what they did before")
    assert served.index(2) == replan.row


def test_costs_that_creep_up_are_answered_when_they_are_too_high() -> None:
    serving, _ = drive(lambda arm, row: PLANNED[arm] * (1.0 + row / 1000 if arm == 1 else 1.0), 900)
    (replan,) = serving.replans
    assert replan.taken == 2
    assert 1000 * 0.3 / 0.2 / (1 - HYSTERESIS) - 1000 < replan.row < 800


@pytest.mark.parametrize(("share", "changes"), [(1 - 0.5 * HYSTERESIS, 0), (1 - 1.5 * HYSTERESIS, 1)])
def test_another_takes_over_if_it_is_cheaper_by_enough(share: float, changes: int) -> None:
    serving, _ = drive(lambda arm, _: 0.2, 300, planned=[1.0, 0.2, 0.2 * share])
    assert len(serving.replans) == changes
    assert all(replan.row >= DWELL for replan in serving.replans)


def test_who_does_not_answer_is_left_at_once_and_taken_back_when_it_does() -> None:
    serving, served = drive(lambda arm, _: PLANNED[arm], 1000, down=lambda row: 100 <= row < 300)
    left, back = serving.replans
    assert (left.row, left.left, left.taken, left.why) == (100, 1, 2, "its endpoint does not answer")
    assert (back.taken, served[-1]) == (1, 1)
    assert back.row >= 100 + REST


def test_who_mostly_fails_is_left_at_once() -> None:
    serving, _ = drive(lambda arm, _: PLANNED[arm], 300, fails=lambda arm, row: arm == 1 and row >= 90)
    first = serving.replans[0]
    assert (first.row, first.taken, first.why) == (90 + FAILED, 2, "most of its questions fail")


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([16, 50, 300]), st.sampled_from([None, 32]))
def test_whatever_happens_nobody_flaps(chance: random.Random, spell: int, lag: int | None) -> None:
    # Costs, failures and silence change by chance, in spells.
    rows, arms = 2000, 3
    levels = [[chance.choice([0.1, 1.0, 10.0]) for _ in range(arms)] for _ in range(rows // spell + 1)]
    silent = [chance.random() < 0.2 for _ in range(rows // spell + 1)]
    failing = [chance.random() < 0.2 for _ in range(rows // spell + 1)]
    serving, _ = drive(
        lambda arm, row: levels[row // spell][arm],
        rows,
        lag=lag,
        down=lambda row: silent[row // spell],
        fails=lambda arm, row: arm == 2 and failing[row // spell],
    )
    most = 1 + math.floor(math.log2(rows / REST + 1))
    assert all(sum(replan.left == arm for replan in serving.replans) <= most for arm in range(arms))


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_in_money_the_order_of_answers_decides_nothing(chance: random.Random) -> None:
    bills = [[chance.choice([0.5, 1.0, 4.0]) if row > 200 else 1.0 for _ in PLANNED] for row in range(600)]

    def who_served(dice: random.Random | None) -> list[int]:
        """``dice`` : answers end in any order, of the 64 rows that may be under way."""
        serving, serves, served = Serving(3, lambda: PLANNED, lambda _: 48), 1, list[int]()
        way: list[tuple[int, int]] = []
        while len(served) < len(bills):
            arm = serving.who(len(served), serves, lambda: [0, 1, 2]) if len(way) < 64 else None
            if arm is not None:
                serves = arm
                serving.begun(len(served))
                way.append((len(served), arm))
                served.append(arm)
            if arm is None or dice is None or dice.random() < 0.5:
                row, asked = way.pop(0 if dice is None else dice.randrange(len(way)))
                serving.ended(row, Row({asked: bills[row][asked]}))
        return served

    in_order = who_served(None)
    assert all(who_served(random.Random(seed)) == in_order for seed in range(3))


def test_rows_wait_for_bills_that_are_due() -> None:
    serving = Serving(3, lambda: PLANNED, lambda _: 8)
    for row in range(BLOCK):
        assert serving.who(row, 1, lambda: [0, 1, 2]) == 1
        serving.begun(row)
    assert serving.who(BLOCK, 1, lambda: [0, 1, 2]) is None
    for row in range(BLOCK - 8 + 1):
        serving.ended(row, Row())
    assert serving.who(BLOCK, 1, lambda: [0, 1, 2]) == 1


def test_few_blocks_of_the_same_are_a_surprise() -> None:
    # 5 % on either side; binomial 99.9 % quantile of 1,000.
    dice, surprises = random.Random(3), 0
    for _ in range(1000):
        spending = Spending()
        for _ in range(5 * BLOCK):
            spending.add(dice.lognormvariate(0.0, 1.0))
        surprises += spending.surprised
    assert surprises <= 130


def proved(follows: Serving | Steady, costs: Callable[[], Sequence[float]]) -> Chooser:
    """Two arms have proved themselves, by what earlier runs found, and the cheaper serves."""
    earlier = {arm: Earlier(200, 200) for arm in range(1, 3)}
    chooser = Chooser(3, costs, lambda: 0.1, lambda _: None, rows=lambda: 10_000, follows=follows, earlier=earlier)
    while chooser.serving is None:
        assignment = chooser.assign()
        assert assignment is not None
        if isinstance(follows, Serving):
            follows.ended(assignment.number, Row(), compared=assignment.phase == "profile")
        chooser.learn(assignment, dict.fromkeys(assignment.arms, "x"))
    return chooser


def test_the_chooser_changes_among_those_that_have_proved_themselves() -> None:
    levels = [1.0, 0.2, 0.3]
    serving = Serving(3, lambda: levels)
    chooser = proved(serving, serving.costs)
    assert (chooser.serving, chooser.proven()) == (1, [0, 1, 2])
    for _ in range(200):
        assignment = chooser.assign()
        assert assignment is not None
        spent = {arm: 2.0 if arm == 1 else levels[arm] for arm in assignment.arms}
        serving.ended(assignment.number, Row(spent), compared=assignment.phase == "profile")
        chooser.learn(assignment, dict.fromkeys(assignment.arms, "x"))
    assert chooser.serving == 2
    assert [(replan.left, replan.taken) for replan in serving.replans] == [(1, 2)]


def test_audits_still_bring_the_reference_back() -> None:
    levels = [1.0, 0.2, 0.3]
    serving = Serving(3, lambda: levels)
    chooser = proved(serving, serving.costs)
    for _ in range(6000):
        assignment = chooser.assign()
        assert assignment is not None
        serving.ended(assignment.number, Row(), compared=assignment.phase == "profile")
        chooser.learn(assignment, {arm: arm for arm in assignment.arms})
    assert chooser.serving == 0
    assert any("audits disagreed" in note for note in chooser.notes)
    assert serving.replans[0].why == WANTING
    assert serving.replans[-1].taken == 0


def test_audits_end_a_service_at_the_same_row_whichever_is_answered_first() -> None:
    """From row 300 on the arm disagrees; answers end in any order, of the 40 rows that may be under way."""

    def notes(dice: random.Random | None) -> list[str]:
        serving = Serving(2, lambda: [1.0, 0.1], lambda _: 32)
        costs, earlier = (1.0, 0.1), {1: Earlier(rows=200, agreed=200)}
        chooser = Chooser(
            2, lambda: costs, lambda: 0.1, lambda _: None, rows=lambda: 5000.0, earlier=earlier, follows=serving
        )
        way: list[Assignment] = []
        while chooser.seen < 3000:
            given = chooser.assign() if len(way) < 40 else None
            if given is not None:
                way.append(given)
            if given is None or dice is None or dice.random() < 0.5:
                done = way.pop(0 if dice is None else dice.randrange(len(way)))
                same = done.number < 300
                said = {arm: 0 if not arm or same else 1 for arm in done.arms}
                serving.ended(done.number, Row(), compared=done.phase == "profile")
                if len(said) > 1:
                    chooser.learn(done, said)
        assert chooser.tallies[1].why == "disagreed in audits"
        assert chooser.serving == 0
        return chooser.notes

    in_order = notes(None)
    assert any("audits disagreed" in note for note in in_order)
    assert all(notes(random.Random(seed)) == in_order for seed in range(4))
