"""A false claim is proved with probability δ at most, however often one looks: computed exactly, not simulated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.plan.cascade import Guarantee
from anserdb.optimizer.cascades.betting import Claim
from anserdb.optimizer.cascades.certificate import Prices, Rows
from anserdb.optimizer.cascades.prefixes import longest
from anserdb.optimizer.cascades.refusal import refusal
from anserdb.optimizer.cascades.sample import Sample


def ever_proved(claim: Claim, wrong: int) -> float:
    """The probability that it is proved at some time, if so many rows of the set are wrong and somebody looks after every draw."""
    open_at, proved = {0: 1.0}, 0.0
    for drawn in range(claim.size):
        after: dict[int, float] = {}
        for found, chance in open_at.items():
            next_wrong = (wrong - found) / (claim.size - drawn)
            for more, part in ((1, next_wrong), (0, 1 - next_wrong)):
                if part <= 0:
                    continue
                if claim.proved(drawn + 1, found + more):
                    proved += chance * part
                else:
                    after[found + more] = after.get(found + more, 0.0) + chance * part
        open_at = after
    return proved


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_a_false_claim_is_seldom_proved_ever(data: st.DataObject) -> None:
    size = data.draw(st.integers(5, 30))
    allowed = data.draw(st.integers(0, size - 1))
    claim = Claim(
        size,
        allowed,
        data.draw(st.sampled_from([0.05, (allowed + 1) / size, 1.0])),
        data.draw(st.sampled_from([0.05, 0.3])),
    )
    wrong = data.draw(st.integers(allowed + 1, size))
    assert ever_proved(claim, wrong) <= claim.delta + 1e-12


def test_the_bound_is_not_empty_and_a_true_claim_is_proved_at_last() -> None:
    claim = Claim(40, 12, 13 / 40, 0.1)
    assert ever_proved(claim, 13) > 0.02
    assert ever_proved(claim, 4) == pytest.approx(1.0)


def test_more_wrong_rows_prove_less_and_more_draws_prove_more() -> None:
    claim = Claim(5000, 500, 0.1, 0.1)
    needed = [next(drawn for drawn in range(wrong, 5000) if claim.proved(drawn, wrong)) for wrong in range(0, 30, 5)]
    assert needed == sorted(set(needed))
    assert not claim.proved(300, 40)


def test_a_cascade_is_not_begun_where_it_cannot_pay() -> None:
    promise = Guarantee(accuracy=0.9)
    assert "fewer" in refusal(199, promise)
    assert refusal(200, promise) == ""
    assert refusal(5000, promise, Prices(reference=1.0, proxy=0.1)) == ""
    assert "cannot pay" in refusal(5000, promise, Prices(reference=1.0, proxy=1.0))
    assert "cannot pay" in refusal(5000, promise, Prices(reference=0.0, proxy=0.0))


def walked(wrong: int, claims: list[Claim]) -> tuple[int, int]:
    """How long a prefix is believed if so many of its first rows are wrong, and how many rows were asked about."""
    sample, line = Sample(np.random.default_rng(0).permutation(2000)), np.arange(2000)
    work = longest(sample, line, claims, wrong_if=False)
    try:
        while True:
            rows: Rows = next(work)
            sample.learn(rows, rows >= wrong)
    except StopIteration as ended:
        return int(ended.value), int(np.count_nonzero(sample.known))


def test_nothing_is_tested_after_a_failure() -> None:
    hard, easy = Claim(400, 40, 0.1, 0.1), Claim(2000, 1500, 0.75, 0.1)
    believed, asked = walked(400, [hard, easy])
    assert believed == 0
    assert asked < 100
    assert walked(400, [easy])[0] == 2000
    assert walked(0, [hard, easy])[0] == 2000


def test_what_cannot_be_wrong_is_not_asked_about() -> None:
    assert walked(2000, [Claim(100, 100, 1.0, 0.1), Claim(120, 120, 1.0, 0.1)]) == (120, 0)
