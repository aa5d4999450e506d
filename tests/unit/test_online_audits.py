"""Audits of online cascades: who is audited, and that what is proved of it holds at any time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.cascades.online.audits import Audits, is_audited


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_about_the_share_is_audited_and_equal_keys_alike(share: float) -> None:
    drawn = [is_audited(f"row {n}", share, 0) for n in range(20_000)]
    assert abs(np.mean(drawn) - share) < 4 * np.sqrt(share / 20_000)
    assert drawn == [is_audited(f"row {n}".encode(), share, 0) for n in range(20_000)]
    assert drawn != [is_audited(f"row {n}", share, 1) for n in range(20_000)]


def misses(delta: float, bounds_of: str, runs: int = 120) -> float:
    """Share of runs whose bounds are wrong at any time, of a policy that gets worse and better."""
    chance, missed, share = np.random.default_rng(0), 0, 0.1
    for _ in range(runs):
        wrong = chance.random(4_000) < np.repeat([0.02, 0.2, 0.01, 0.1], 1_000)
        caught = np.cumsum(wrong & (chance.random(4_000) < share))
        looks = np.arange(200, 4_001, 200)
        missed += any(
            not _holds(Audits(share, int(n), int(caught[n - 1])), int(wrong[:n].sum()), delta, bounds_of) for n in looks
        )
    return missed / runs


def _holds(audits: Audits, truth: int, delta: float, bounds_of: str) -> bool:
    if bounds_of == "mixture":
        least, most = audits.totals(delta)
        return least <= truth <= most
    estimate = audits.contradicted / audits.share
    half = 1.96 * np.sqrt(max(1, audits.contradicted)) / audits.share
    return bool(estimate - half <= truth <= estimate + half)


def test_bounds_hold_at_all_times_together() -> None:
    assert misses(0.05, "mixture") <= 0.05


def test_bounds_for_one_look_would_not() -> None:
    assert misses(0.05, "one look") > 0.15


@given(st.integers(1, 3_000), st.integers(0, 60), st.sampled_from([0.02, 0.1, 0.5]))
@settings(max_examples=40, deadline=None)
def test_more_contradictions_never_prove_fewer(rows: int, contradicted: int, share: float) -> None:
    contradicted = min(contradicted, rows - 1)
    fewer, more = (Audits(share, rows, contradicted + n).totals(0.05) for n in (0, 1))
    assert fewer[0] <= more[0]
    assert fewer[1] <= more[1]
    assert fewer[0] <= fewer[1] <= rows


@given(st.integers(0, 40), st.floats(0.01, 0.2))
@settings(max_examples=25, deadline=None)
def test_a_smaller_delta_proves_less(contradicted: int, delta: float) -> None:
    wide, narrow = (Audits(0.05, 2_000, contradicted).totals(d) for d in (delta / 2, delta))
    assert wide[0] <= narrow[0] <= contradicted / 0.05 + 1
    assert wide[1] >= narrow[1] >= contradicted


def test_all_audited_is_known_nearly_exactly() -> None:
    assert Audits(1.0, 500, 30).totals(0.05) == (30, 30)
