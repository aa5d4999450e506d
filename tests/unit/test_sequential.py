"""A test that knows when it will look: never wrong more often than it says, and sooner done than one that may go on forever."""

from __future__ import annotations

import random
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.search.bounds import Proof
from anserdb.optimizer.search.sequential import SequentialProof, boundary, looks_of, rows_to_prove

LEVELS = [0.1 * part / 40 for part in range(1, 41)]


@pytest.mark.parametrize(("loss", "delta", "horizon"), [(0.1, 0.05, 216), (0.02, 0.05, 729), (0.05, 0.004, 324)])
def test_what_is_not_so_is_proved_as_seldom_as_it_says_and_not_much_more_seldom(
    loss: float, delta: float, horizon: int
) -> None:
    looks, few = np.array(looks_of(horizon)), np.array(boundary(loss, delta, horizon))
    generator, runs = np.random.default_rng(7), 40_000
    steps = np.diff(looks, prepend=0)
    found = np.cumsum(generator.binomial(steps, loss, (runs, len(looks))), axis=1)
    wrong = float((found <= few).any(axis=1).mean())
    assert wrong <= delta + 3 * (delta / runs) ** 0.5
    assert wrong >= delta / 2


@given(st.lists(st.floats(0, 1), max_size=300), st.integers(30, 2000))
@settings(max_examples=25, deadline=None)
def test_a_proof_is_never_taken_back_and_takes_all_larger_losses_with_it(same: list[float], horizon: int) -> None:
    proof, last = SequentialProof(LEVELS, 0.02, horizon), 1.0
    for x in same:
        proof.see(x)
        assert proof.loss <= last
        last = proof.loss


def _rows(proof: Any, loss: float, enough: float, chance: random.Random) -> float:
    while proof.loss > enough and proof.n < 2_000:
        proof.see(float(chance.random() >= loss))
    return float(proof.n)


def test_by_its_horizon_it_has_proved_more_than_bets_without_an_end() -> None:
    horizon = 730
    ends = [_rows(SequentialProof(LEVELS, 0.01, horizon), 0.035, 0.06, random.Random(seed)) for seed in range(60)]
    bets = [_rows(Proof(LEVELS, 0.01), 0.035, 0.06, random.Random(seed)) for seed in range(60)]
    assert sum(rows <= horizon for rows in ends) > sum(rows <= horizon for rows in bets)


def test_who_agrees_in_part_has_not_agreed() -> None:
    proof = SequentialProof([0.05], 0.05, 400)
    for _ in range(600):
        proof.see(0.99)
    assert not proof.won()


def test_what_is_expected_of_a_proof_is_about_what_it_takes() -> None:
    for true, loss in ((0.0, 0.05), (0.02, 0.05), (0.05, 0.1)):
        ((expected,),) = rows_to_prove(np.array([loss]), 0.01, 500, np.array([true]))
        took = median(_rows(SequentialProof([loss], 0.01, 500), true, loss, random.Random(seed)) for seed in range(60))
        assert expected / 1.5 <= took <= expected * 1.5
