"""What a sample of a screen's rejects proves: simulated draws are wrong no more often than is said, and plans cost what they say."""

from __future__ import annotations

import numpy as np
import pytest

from anserdb.optimizer.search.first_rows import Aim, best, correlated, draws_needed, error

TRIALS = 40_000


@pytest.mark.parametrize(("top", "others", "drawn"), [(60, 850, 200), (20, 150, 90), (300, 9_000, 450), (12, 40, 30)])
@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_too_few_first_rows_are_accepted_no_more_often_than_delta(
    top: int, others: int, drawn: int, allowed: int
) -> None:
    """numpy's own draws, for each number of rows that the screen may have lost."""
    aim, dice = Aim(10, allowed, 0.05), np.random.default_rng(7)
    # The most that a sample may show and still be accepted.
    shown = max((seen for seen in range(60) if error(seen, drawn, others, top, aim) <= aim.delta), default=-1)
    for lost in {1, 2, 3, 5, 8, 13, 21, 34, 80, others // 2}:
        if lost > others:
            continue
        seen = dice.hypergeometric(lost, others - lost, drawn, TRIALS)
        unseen = lost - seen
        missing = dice.hypergeometric(unseen, top + lost - unseen, 10)
        wrong = ((seen <= shown) & (missing > allowed)).mean()
        assert wrong <= 0.05 + 0.005, (lost, shown)


def test_the_bound_is_not_far_from_what_happens() -> None:
    """It is reached by the worst number of lost rows: a bound that is never reached would ask for too many."""
    aim, dice, worst = Aim(10, 1, 0.05), np.random.default_rng(3), 0.0
    drawn = draws_needed(0, 850, 60, aim)
    for lost in range(2, 25):
        seen = dice.hypergeometric(lost, 850 - lost, drawn, TRIALS)
        missing = dice.hypergeometric(lost - seen, 60 + seen, 10)
        worst = max(worst, float(((seen == 0) & (missing > 1)).mean()))
    assert 0.03 < worst <= 0.055


@pytest.mark.parametrize("drawn", [10, 50, 200])
def test_more_rows_shown_prove_less_and_a_larger_sample_more(drawn: int) -> None:
    aim = Aim(10, 1, 0.05)
    errors = [error(seen, drawn, 850, 60, aim) for seen in range(8)]
    assert errors == sorted(errors)
    assert error(2, drawn, 850, 60, aim) >= error(2, drawn + 100, 850, 60, aim)


def test_a_whole_sample_is_no_sample() -> None:
    assert error(50, 100, 100, 60, Aim(10, 0, 0.05)) == 0.0
    assert draws_needed(50, 100, 60, Aim(10, 0, 0.05)) <= 100


def test_a_better_screen_is_cheaper_and_a_bad_one_is_not_used() -> None:
    aim = Aim(10, 1, 0.025)
    ways = [best(3_000, r, 0.05, aim) for r in (0.99, 0.95, 0.9, 0.8)]
    costs = [way.cost for way in ways if way is not None]
    assert len(costs) == 4
    assert costs == sorted(costs)
    assert best(3_000, 0.1, 0.05, aim) is None
    assert best(3_000, 0.99, 0.95, aim) is None  # as dear as the reference
    assert best(40, 1.0, 0.0, aim) is None
    assert best(0, 1.0, 0.0, aim) is None


def test_correlation_of_scores_on_any_scale() -> None:
    dice = np.random.default_rng(1)
    x = dice.normal(size=400)
    y = 0.9 * x + np.sqrt(1 - 0.81) * dice.normal(size=400)
    assert 0.85 < correlated(x, y) < 0.92
    assert correlated(x, y) == pytest.approx(correlated(np.exp(x), y**3))
    assert correlated(x, np.round(y)) > 0.8  # ties
    assert correlated(x, -y) == 0.0
    assert correlated(x, np.ones(400)) == 0.0
    assert correlated(x[:2], y[:2]) == 0.0
