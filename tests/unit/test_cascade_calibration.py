"""What ``Calibration`` asks, whose answers it takes and what it says of them, beside what the reference would have said."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.plan.cascade import Guarantee
from anserdb.optimizer.cascades.calibration import Calibration
from anserdb.optimizer.cascades.certificate import Outcome, Prices

ROWS = 600
KEYS = [f"row {row}" for row in range(ROWS)]
ACCURATE = Guarantee(accuracy=0.9, delta=0.1)
PRECISE = Guarantee(precision=0.9, delta=0.1)
COMPLETE = Guarantee(recall=0.9, delta=0.1)
BOTH = Guarantee(precision=0.9, recall=0.9, delta=0.1)
GENERATOR = np.random.default_rng(0)
SCORES = GENERATOR.random(ROWS)
TRUTH: list[Hashable | None] = [bool(GENERATOR.random() < score**3 / (score**3 + (1 - score) ** 3)) for score in SCORES]


def asked_of(calibration: Calibration, truth: Sequence[Hashable | None]) -> set[int]:
    """Answer all it wants; which rows it wanted."""
    asked: set[int] = set()
    while wanted := calibration.wants():
        assert asked.isdisjoint(wanted)
        asked.update(wanted)
        calibration.tell({row: truth[row] for row in wanted})
    return asked


def calibrated(
    guarantee: Guarantee,
    truth: Sequence[Hashable | None] = TRUTH,
    answers: Sequence[Hashable | None] | None = None,
    scores: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]] = SCORES,
) -> tuple[Outcome, set[int]]:
    said: Sequence[Hashable | None] = [bool(score >= 0.5) for score in scores] if answers is None else answers
    sure = np.abs(np.asarray(scores) - 0.5) if guarantee.accuracy is not None and answers is None else scores
    calibration = Calibration(said, sure, guarantee, keys=KEYS[: len(truth)])
    asked = asked_of(calibration, truth)
    return calibration.outcome(), asked


@pytest.mark.parametrize("guarantee", [ACCURATE, PRECISE, COMPLETE, BOTH], ids=lambda guarantee: guarantee.words)
def test_the_books_are_in_order(guarantee: Guarantee) -> None:
    outcome, asked = calibrated(guarantee)
    certificate, by_proxy = outcome.certificate, {int(row) for row in np.flatnonzero(outcome.by_proxy)}
    assert by_proxy
    assert by_proxy.isdisjoint(asked)
    assert certificate.by_proxy == len(by_proxy)
    assert certificate.by_proxy + certificate.by_reference == certificate.rows == ROWS
    assert certificate.labels == len(asked) <= certificate.by_reference
    assert certificate.reason == ""
    assert [(bound.target, bound.certified) for bound in certificate.bounds] == [(0.9, 0.9)] * len(certificate.bounds)
    assert all(0.85 < bound.estimate <= 1 for bound in certificate.bounds)
    assert all((outcome.accepted[row] is not None) == (row in by_proxy) for row in range(ROWS))


def test_what_is_not_promised_is_not_risked() -> None:
    precise, complete = calibrated(PRECISE)[0], calibrated(COMPLETE)[0]
    assert {precise.accepted[row] for row in np.flatnonzero(precise.by_proxy)} == {True}
    assert {complete.accepted[row] for row in np.flatnonzero(complete.by_proxy)} == {False}


def test_the_same_rows_are_drawn_wherever_they_stand_and_others_by_another_seed() -> None:
    def drawn(order: Sequence[int], seed: int) -> tuple[set[str], str]:
        keys, scores = [KEYS[row] for row in order], np.abs(SCORES - 0.5)[list(order)]
        calibration = Calibration([True] * ROWS, scores, ACCURATE, keys=keys, seed=seed)
        asked = asked_of(calibration, [True] * ROWS)
        return {keys[row] for row in asked}, calibration.outcome().certificate.sample_digest

    forward = drawn(range(ROWS), 1)
    assert forward == drawn(range(ROWS - 1, -1, -1), 1)
    other = drawn(range(ROWS), 2)
    assert forward[0] != other[0]
    assert forward[1] != other[1]


def test_null_is_a_disagreement_unless_the_proxy_said_null_and_is_not_true() -> None:
    nulls: list[Hashable | None] = [None] * ROWS
    outcome, _ = calibrated(ACCURATE, nulls, answers=nulls, scores=[1.0] * ROWS)
    assert outcome.certificate.by_proxy > ROWS / 2
    outcome, _ = calibrated(ACCURATE, nulls, answers=[False] * ROWS, scores=[1.0] * ROWS)
    assert outcome.certificate.by_proxy <= ROWS / 10
    outcome, _ = calibrated(PRECISE, nulls)
    assert outcome.certificate.by_proxy == 0


def test_rows_without_an_answer_of_the_proxy_go_to_the_reference() -> None:
    scores = [math.nan if row % 3 == 0 else 0.9 for row in range(ROWS)]
    for guarantee, answers in ((ACCURATE, [True] * ROWS), (BOTH, None)):
        outcome, _ = calibrated(guarantee, [True] * ROWS, answers=answers, scores=scores)
        assert outcome.certificate.by_proxy > 0
        assert not outcome.by_proxy[::3].any()


def test_answers_may_be_labels() -> None:
    labels: list[Hashable | None] = [("red", "green", "blue")[row % 3] for row in range(ROWS)]
    outcome, _ = calibrated(ACCURATE, labels, answers=labels, scores=SCORES)
    assert outcome.certificate.by_proxy > ROWS / 2
    assert all(outcome.accepted[row] == labels[row] for row in np.flatnonzero(outcome.by_proxy))


def test_few_rows_and_prices_that_cannot_pay_leave_everything_to_the_reference() -> None:
    outcome, asked = calibrated(BOTH, TRUTH[:150], scores=SCORES[:150])
    assert not asked
    assert outcome.certificate.by_reference == 150
    assert "fewer than" in outcome.certificate.reason
    assert {bound.certified for bound in outcome.certificate.bounds} == {1.0}
    dear = Calibration([True] * ROWS, SCORES, ACCURATE, keys=KEYS, prices=Prices(reference=1.0, proxy=2.0))
    assert not dear.wants()
    assert "cannot pay" in dear.outcome().certificate.reason
    assert Calibration([], [], ACCURATE, keys=[]).outcome().certificate.rows == 0


@pytest.mark.parametrize("guarantee", [PRECISE, COMPLETE, BOTH], ids=lambda guarantee: guarantee.words)
@pytest.mark.parametrize("said", [True, False])
def test_all_rows_or_none_may_be_true(guarantee: Guarantee, said: bool) -> None:
    truth: list[Hashable | None] = [said] * ROWS
    outcome, _ = calibrated(guarantee, truth)
    final = [outcome.accepted[row] if outcome.by_proxy[row] else said for row in range(ROWS)]
    assert final.count(True) >= 0.9 * ROWS * said
    assert (outcome.certificate.by_proxy == 0) == bool(outcome.certificate.reason)
    if not said:
        assert final.count(True) == 0


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=200, max_size=260),
    st.sampled_from([ACCURATE, PRECISE, COMPLETE, BOTH]),
)
@settings(max_examples=15, deadline=None)
def test_ties_of_any_kind_leave_the_books_in_order(scores: list[float], guarantee: Guarantee) -> None:
    outcome, asked = calibrated(guarantee, TRUTH[: len(scores)], scores=scores)
    assert outcome.certificate.by_proxy + outcome.certificate.by_reference == len(scores)
    assert not any(outcome.by_proxy[row] for row in asked)


def test_answers_may_come_in_parts_and_others_are_not_heard() -> None:
    whole, parts = (Calibration([True] * ROWS, SCORES, BOTH, keys=KEYS) for _ in range(2))
    asked = asked_of(whole, TRUTH)
    while wanted := parts.wants():
        half = list(wanted)[: (len(wanted) + 1) // 2]
        parts.tell({row: TRUTH[row] for row in half} | {row: not TRUTH[row] for row in set(range(ROWS)) - asked})
        assert set(half).isdisjoint(parts.wants())
    assert parts.outcome().certificate == whole.outcome().certificate
    parts.tell({0: True})
    assert parts.outcome().certificate == whole.outcome().certificate


def test_misuse_is_said() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Calibration([True], [0.5, 0.5], ACCURATE, keys=["a"])
    with pytest.raises(ValueError, match="accuracy"):
        Calibration([True], [0.5], Guarantee(accuracy=0.9, recall=0.9), keys=["a"])
    with pytest.raises(ValueError, match="accuracy"):
        Calibration([True], [0.5], Guarantee(), keys=["a"])
    with pytest.raises(RuntimeError, match="still to be told"):
        Calibration([True] * ROWS, SCORES, ACCURATE, keys=KEYS).outcome()
