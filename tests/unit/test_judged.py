"""What labels say of a model: proved, found wanting, or neither; and rows without a label by their place."""

from __future__ import annotations

import random

import pytest

from anserdb.engine.physical.operators.judged import UNLABELLED, Judged
from anserdb.engine.physical.operators.labelled import Places
from anserdb.engine.plan.truth import Truth
from anserdb.optimizer.search.chooser import DELTA, Chooser

TRUTH = Truth("gold", ("i0",), "", "1-a")


def judged(target: float = 0.9) -> tuple[Judged, list[str]]:
    notices: list[str] = []
    return Judged("1:LLM_FILTER", "dear", TRUTH, {TRUTH: {"a": True, "b": None}}, target, notices.append), notices


def test_inputs_have_labels_by_their_values() -> None:
    found, _ = judged()
    assert found.label(["a"]) is True
    assert found.label(["A"]) is UNLABELLED
    assert found.label(["a", "b"]) is UNLABELLED


@pytest.mark.parametrize(("right", "verdict"), [(1.0, "which proves ≥ 90%"), (0.5, "found wanting: below 90%")])
def test_rows_prove_what_a_model_is_worth(right: float, verdict: str) -> None:
    found, notices = judged()
    assert found.verdict == "not proved"
    for row in range(100):
        found.see(True, [row < 100 * right if row % 2 else row % 4 == 0 or right == 1.0])
    assert found.verdict == verdict
    assert found.proved != found.wanting
    found.tell()
    assert bool(notices) == found.wanting


def test_who_is_as_good_as_asked_for_is_seldom_found_wanting() -> None:
    wrong = 0
    for seed in range(60):
        drawn, (found, _) = random.Random(seed), judged()
        for _ in range(150):
            found.see(True, [drawn.random() < 0.9])
        wrong += found.wanting
    assert wrong <= 3 * DELTA * 60


def test_that_a_model_failed_is_no_agreement_and_without_labels_there_is_only_a_notice() -> None:
    found, notices = judged()
    found.see(None, ())
    assert (found.tally.rows, found.loss) == (1, 1.0)
    other, said = judged()
    other.unlabelled = 7
    other.tell()
    assert not notices
    assert said[0].startswith("1:LLM_FILTER: none of its 7 inputs is in gold")


def test_a_row_is_served_by_what_rows_before_it_decided() -> None:
    chooser = Chooser(2, lambda: [1.0, 0.1], lambda: 0.2, lambda _: None, rows=lambda: 5000.0)
    places = Places(chooser)
    while chooser.serving is None and places.come < 300:
        places.another()
        places.since += 1
        assignment = places.assign()
        assert assignment is not None
        assert chooser.seen == 2 * places.come - 1, "the row with a label, and those without that came before it"
        chooser.learn(assignment, dict.fromkeys(assignment.arms, True))
        places.look()
    assert chooser.serving == 1
    assert places.serving(places.come) == places.serving(places.come + 9) == 1
    assert places.serving(places.come - 1) == places.serving(0) == 0
