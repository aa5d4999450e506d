"""A promise is broken no more often than it says, in worlds made to break it; and the check that says so finds ways that are wrong."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.plan.cascade import Guarantee
from anserdb.optimizer.cascades.sides import Tolerances
from benchmarks.cascade_check import Method, View, least_share, naive, ours, tried
from tests.support.cascade_ways import (
    CLUMP_AT_THE_TOP,
    JUST_TOO_MANY,
    TIED,
    TOO_SURE,
    all_alike,
    exact,
    in_sequence,
    peeking,
    positives,
    unordered,
    zero_variance,
)

RUNS = 60
MOST_MISSED = 0.2
"""What a way that is wrong with probability .1 exceeds in 60 runs with probability .006."""
ACCURATE = Guarantee(accuracy=0.9, delta=0.1)
PRECISE = Guarantee(precision=0.9, delta=0.1)
COMPLETE = Guarantee(recall=0.9, delta=0.1)
BOTH = Guarantee(precision=0.9, recall=0.9, delta=0.1)


def keeps(method: Method, view: View, guarantee: Guarantee) -> bool:
    """The check."""
    return tried(method, view, guarantee, RUNS).missed <= MOST_MISSED


@pytest.mark.parametrize(
    "view", [JUST_TOO_MANY, CLUMP_AT_THE_TOP, TIED, TOO_SURE], ids=["edge", "clump", "tied", "too sure"]
)
def test_accuracy_is_kept(view: View) -> None:
    assert keeps(ours, view, ACCURATE)


@pytest.mark.parametrize("guarantee", [PRECISE, COMPLETE, BOTH], ids=lambda guarantee: guarantee.words)
@pytest.mark.parametrize(
    "view",
    [positives(0.88, 6000, 700, rows=20_000), positives(0.6, 40, 12), positives(0.5, 2000, 0)],
    ids=["edge", "rare", "worthless scores"],
)
def test_precision_and_recall_are_kept(view: View, guarantee: Guarantee) -> None:
    assert keeps(ours, view, guarantee)


@pytest.mark.parametrize(
    ("method", "view"),
    [
        (naive, TIED),
        (in_sequence(zero_variance), TIED),
        (unordered, JUST_TOO_MANY),
        (in_sequence(peeking), TIED),
    ],
    ids=["empirical threshold", "zero variance", "unordered prefixes", "optional stopping"],
)
def test_the_check_finds_ways_that_are_wrong(method: Method, view: View) -> None:
    assert not keeps(method, view, ACCURATE)


@pytest.mark.parametrize("guarantee", [PRECISE, COMPLETE, BOTH], ids=lambda guarantee: guarantee.words)
def test_the_check_finds_an_empirical_threshold_of_precision_and_recall(guarantee: Guarantee) -> None:
    assert not keeps(naive, positives(0.88, 600, 70), guarantee)


def test_the_same_proof_in_sequence_and_with_one_look_is_not_found_wrong() -> None:
    assert keeps(in_sequence(exact), TIED, ACCURATE)


def test_a_proxy_that_is_good_saves_most_answers_and_a_bad_one_none() -> None:
    good = tried(ours, all_alike(0.02), ACCURATE, 5)
    assert good.share < 0.1
    bad = tried(ours, all_alike(1.0), ACCURATE, 5)
    assert bad.share >= 0.9
    assert bad.missed == 0


def test_nobody_does_better_than_who_knows_all_answers() -> None:
    for view, guarantee in ((TOO_SURE, ACCURATE), (positives(0.88, 600, 70), BOTH)):
        assert tried(ours, view, guarantee, 5).share > least_share(view, guarantee)


@given(st.sampled_from([0.5, 0.8, 0.9, 0.99]), st.sampled_from([0.5, 0.8, 0.9, 0.99]), st.integers(0, 5000))
@settings(max_examples=40, deadline=None)
def test_as_many_errors_as_are_tolerated_on_both_sides_keep_both_promises(
    precision: float, recall: float, trues: int
) -> None:
    allow = Tolerances.of(Guarantee(precision=precision, recall=recall, delta=0.1))
    false = math.floor(allow.false * trues)
    lost = max(lost for lost in range(trues + 1) if lost <= allow.lost * allow.kept * (trues - lost + false))
    kept = trues - lost
    assert kept >= recall * trues - 1e-6
    assert kept >= precision * (kept + false) - 1e-6
    assert lost + 2 >= 0.9 * (1 - recall) * trues * precision
    assert allow.delta == 0.05
