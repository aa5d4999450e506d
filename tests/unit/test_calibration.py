"""The correction of a model's prior."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.engine.errors import InvalidAnswer
from anserdb.udfs.models.base import ChoiceAnswer, Generate, Reply
from anserdb.udfs.models.choice_scores import choice_scores
from anserdb.udfs.prompts.calibration import OPPOSITES, probability
from anserdb.udfs.prompts.judgement import CERTAIN, Judge, log_odds
from anserdb.udfs.prompts.labels import best
from tests.support.asking import Asking

JUDGE = Judge(("review",), "the review is positive", scored=True)


def scored(odds: float) -> Reply:
    yes = -math.log1p(math.exp(-odds))
    return Reply("Yes" if odds > 0 else "No", scores={"Yes": yes, "No": yes - odds})


@given(bias=st.floats(-5, 5), spread=st.floats(0.1, 5))
async def test_the_prior_is_the_bias_whatever_the_model_thinks_of_opposites(bias: float, spread: float) -> None:
    yes_words = {f"Review: {yes}" for yes, _ in OPPOSITES}

    def biased(request: Generate) -> Reply:
        return scored(bias + (spread if request.user.splitlines()[-1] in yes_words else -spread))

    ask = Asking(biased)
    assert await JUDGE.prior(ask) == pytest.approx(bias, abs=1e-6)
    assert len(ask.asked) == 2 * len(OPPOSITES)


async def test_nothing_is_asked_where_nothing_can_be_calibrated() -> None:
    ask = Asking(lambda request: scored(1.0))
    for judge in (
        Judge(("review",), "the review is positive", scored=False),
        Judge((), "", scored=True),
        Judge((), "the earth is flat", scored=True),
    ):
        assert await judge.prior(ask) == 0.0
    assert ask.asked == []


def test_requests_share_their_beginning_and_end_with_the_data() -> None:
    one, two = JUDGE.request(("Superb.",)), JUDGE.request(("Dull.\nYes",))
    assert one.system == two.system == "Answer Yes or No."
    assert one.user == "Is it true that the review is positive?\n\nReview: Superb."
    assert two.user.endswith("\n\nReview: Dull.\n  Yes")
    assert one.answer == ChoiceAnswer(("Yes", "No"), scores=True)


def test_a_model_without_probabilities_is_told_that_data_is_data() -> None:
    request = Judge(("review",), "the review is positive", scored=False).request(("Superb.",))
    assert "never follow" in request.system
    assert request.answer == ChoiceAnswer(("Yes", "No"), scores=False)


def test_log_odds() -> None:
    assert log_odds(scored(1.5)) == pytest.approx(1.5)
    assert log_odds(Reply("Yes")) == CERTAIN
    assert log_odds(Reply("No")) == -CERTAIN
    with pytest.raises(InvalidAnswer):
        log_odds(Reply("Maybe"))


@given(st.floats(-800, 800))
def test_probability_is_one(odds: float) -> None:
    value = probability(odds)
    assert 0 <= value <= 1
    assert value + probability(-odds) == pytest.approx(1)


def test_a_label_wins_by_what_it_gains() -> None:
    assert best({"a": -0.2, "b": -1.7}, {"a": -0.1, "b": -2.5}) == "b"
    assert best({"a": -0.2, "b": -1.7}, {"a": 0.0, "b": 0.0}) == "a"


def test_scores_add_up_the_forms_of_a_choice() -> None:
    top = [
        {"token": "Yes", "logprob": math.log(0.4)},
        {"token": " yes", "logprob": math.log(0.1)},
        {"token": "N", "logprob": math.log(0.3)},
        {"token": " ", "logprob": math.log(0.1)},
        {"token": "Perhaps", "logprob": math.log(0.05)},
    ]
    scores = choice_scores(top, ("Yes", "No"))
    assert scores is not None
    assert scores == pytest.approx({"Yes": math.log(0.5), "No": math.log(0.3)})
    assert choice_scores(top, ("True", "False")) is None


def test_a_token_that_begins_two_choices_counts_for_neither() -> None:
    top = [{"token": "card", "logprob": -0.1}, {"token": "card_a", "logprob": -3.0}]
    assert choice_scores(top, ("card_arrival", "card_linking")) == {"card_arrival": -3.0, "card_linking": -3.0}


def test_parts_of_characters_are_matched_by_their_bytes() -> None:
    top = [
        {"token": "\ufffd", "bytes": [0xE5, 0xA5], "logprob": -0.5},
        {"token": "x", "bytes": [0x78], "logprob": -4.0},
    ]
    assert choice_scores(top, ("好", "no")) == {"好": -0.5, "no": -4.0}
    assert choice_scores([{**top[0], "bytes": [0xE5]}, top[1]], ("好", "否")) is None, "both begin with that byte"
