"""Who may answer in an online cascade: thresholds, doubts, drift, students."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.cascades.online.deferral import Doubt, signs_of
from anserdb.optimizer.cascades.online.drift import IN_DOUBT, Drift
from anserdb.optimizer.cascades.online.examples import Example
from anserdb.optimizer.cascades.online.students import EmbeddedStudent, HashedStudent
from anserdb.optimizer.cascades.online.threshold import Labelled, Threshold, solved


def world(seed: int, rows: int, sure_are_wrong: float) -> tuple[Labelled, np.ndarray]:
    """Half of the rows are sure (doubt about .01) and labelled where they are audited, 2 %; the others (about .3) are all labelled."""
    chance = np.random.default_rng(seed)
    sure = chance.random(rows) < 0.5
    doubts = np.where(sure, 0.01, 0.3) + 0.001 * chance.random(rows)
    wrong = chance.random(rows) < np.where(sure, sure_are_wrong, 0.3)
    known = ~sure | (chance.random(rows) < 0.02)
    return Labelled(doubts[known, None], wrong[known, None], np.ones(known.sum())), doubts[:, None]


def at(labelled: Labelled, lately: np.ndarray, allowed: float) -> Threshold:
    return solved(labelled, lately, allowed, 0.05)


def test_what_is_rarely_labelled_weighs_as_much_as_it_is_common() -> None:
    """Of all labelled rows up to the doubt of sure ones few are wrong; of all rows 10 % would be."""
    labelled, lately = world(0, 8_000, 0.2)
    sure = labelled.doubts[:, 0] < 0.1
    assert (labelled.wrong[sure].sum() / len(labelled.wrong)) < 0.02
    assert at(labelled, lately, 0.05).doubt < 0


def test_sure_rows_act_where_few_of_them_are_wrong() -> None:
    labelled, lately = world(1, 20_000, 0.0)
    found = at(labelled, lately, 0.02)
    assert 0.01 <= found.doubt <= 0.301
    assert 0 < found.bound <= 0.02


def test_nothing_acts_on_few_labels_and_what_is_scarce_weighs() -> None:
    labelled, lately = world(2, 150, 0.0)
    assert at(labelled, lately, 0.005).doubt == -1.0
    labelled, lately = world(2, 20_000, 0.0)
    found = at(labelled, lately, 0.02)
    assert found.weight(0.0105) > 5 * found.weight(0.3009)


@given(st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_bounds_hold_in_most_worlds_and_more_is_allowed_to_more(seed: int) -> None:
    labelled, lately = world(seed, 12_000, 0.01)
    doubts = [at(labelled, lately, allowed).doubt for allowed in (0.002, 0.01, 0.03, 0.2)]
    assert doubts == sorted(doubts)
    assert doubts[-1] > doubts[0]


def test_the_bound_is_wrong_as_seldom_as_it_says() -> None:
    """Sure rows are wrong 4 % of the time, so 2 % of all rows: acting at 1.9 % is wrong."""
    acted = sum(at(*world(seed, 20_000, 0.04), 0.019).doubt >= 0.0109 for seed in range(100))
    assert acted <= 12


def test_what_was_asked_with_a_small_probability_stands_for_more() -> None:
    """Of rows of one doubt, nine in ten are from before they got worse; of those after it, one in ten is labelled."""
    doubts = np.full((1_000, 1), 0.01) + np.linspace(0, 1e-4, 1_000)[:, None]
    late = np.arange(1_000) % 10 == 0
    wrong = (late & (np.arange(1_000) % 40 == 0))[:, None]
    before, after = (
        solved(Labelled(doubts, wrong, s), doubts, 0.06, 0.05).doubt for s in (np.ones(1_000), 1 + 9.0 * late)
    )
    assert before > after + 5e-5


def test_doubts_are_learnt_and_calibrated() -> None:
    chance = np.random.default_rng(0)
    margins = chance.exponential(2.0, 6_000)
    wrong = chance.random(6_000) < 1 / (1 + np.exp(margins - 0.5))
    chances = np.column_stack([1 / (1 + np.exp(-margins)), 1 / (1 + np.exp(margins))])
    signs, doubt = signs_of(chances, None, 500), Doubt()
    assert (doubt.of(signs) == 1.0).all()
    doubt.fit(signs[:3_000], wrong[:3_000])
    told = doubt.of(signs[3_000:])
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 1.0)):
        some = (told >= low) & (told < high)
        assert abs(told[some].mean() - wrong[3_000:][some].mean()) < 0.03


def test_no_drift_is_seen_where_there_is_none_and_soon_where_there_is() -> None:
    chance = np.random.default_rng(0)
    doubts = chance.beta(1, 6, 20_000)
    choices = chance.integers(0, 3, 20_000)
    drift = Drift(3)
    assert not drift.see(choices, doubts, chance.random(20_000) < doubts)
    worse = chance.random(20_000) < doubts
    worse[choices == 1] = True
    seen = next(n for n in range(0, 1_000, 20) if drift.see(choices[n : n + 20], doubts[n : n + 20], worse[n : n + 20]))
    assert seen < 200
    assert not drift.suspected


def test_a_suspicion_comes_before_an_alarm_and_is_let_go() -> None:
    drift, choices = Drift(2), np.zeros(1, np.int64)
    while not drift.suspected:
        assert not drift.see(choices, np.array([0.3]), np.array([True]))
    rest = [True, False, False] * IN_DOUBT
    lasted = 0
    while drift.suspected:
        assert not drift.see(choices, np.array([0.35]), np.array([rest[lasted]]))
        lasted += 1
    assert lasted <= IN_DOUBT + 1


def test_students_know_nothing_before_they_are_taught() -> None:
    """No vocabulary and no scale is fitted on rows that have not come."""
    examples = [Example("1", "some words", np.ones(4)), Example("2", "others", None)]
    assert (HashedStudent(3).chances(examples) == 1 / 3).all()
    embedded = EmbeddedStudent(2)
    embedded.see(examples)
    assert np.isnan(embedded.chances(examples)).all()


def test_a_row_that_stands_for_many_outweighs_several() -> None:
    """Rows that were audited with a small probability, learnt with their weight, keep what deferred rows would drown."""
    student = HashedStudent(2)
    text = Example("1", "the same text")
    for _ in range(30):
        student.learn([text] * 4, np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 10.0]))
    assert student.chances([text])[0, 1] > 0.6


def test_students_come_back_as_they_were() -> None:
    chance = np.random.default_rng(0)
    examples = [Example(f"{n}", f"word{n % 3}", chance.normal(size=5) + n % 3) for n in range(60)]
    targets = np.array([n % 3 for n in range(60)])
    for made in (HashedStudent, EmbeddedStudent):
        student, again = made(3), made(3)
        student.see(examples)
        student.learn(examples, targets, np.ones(60))
        again.restore(student.dump())
        assert np.allclose(again.chances(examples), student.chances(examples))
        assert (student.chances(examples).argmax(axis=1) == targets).mean() > 0.5
