"""LLM_FILTER: how it is asked and read."""

from __future__ import annotations

from typing import Any

import pytest

from anserdb.engine.types import BOOLEAN, VARCHAR
from anserdb.udfs.functions.llm_filter import FUNCTION, FilterTask
from anserdb.udfs.models.base import Capabilities, Generate, Reply
from anserdb.udfs.spec import DYNAMIC, Arguments
from tests.support.asking import Asking

SCORES = Capabilities(choice_scores=True)
PLAIN = Capabilities()


def lower(constants: tuple[Any, ...], texts: tuple[str, ...], capabilities: Capabilities = SCORES) -> FilterTask:
    task = FUNCTION.lower(Arguments(constants, (VARCHAR,) * len(constants), texts), capabilities)
    assert isinstance(task, FilterTask)
    return task


def says(odds: dict[str, float], otherwise: float) -> Asking:
    """Log-odds by a word of the last line."""

    def answer(request: Generate) -> Reply:
        last = request.user.splitlines()[-1]
        value = next((odd for word, odd in odds.items() if word in last), otherwise)
        return Reply("Yes" if value > 0 else "No", scores={"Yes": value, "No": 0.0})

    return Asking(answer)


async def test_the_threshold_is_the_prior_of_the_condition() -> None:
    task = lower(("the review is positive", DYNAMIC), ("'the review is positive'", "review"))
    assert FUNCTION.returns(Arguments((), (), ()), SCORES) is BOOLEAN
    assert "opposite pairs" in task.notes()["threshold"]
    ask = says({"superb": -1.0, "dull": -3.0}, otherwise=-2.0)
    await task.prepare(ask)
    await task.prepare(ask)
    assert len(ask.asked) == 14, "calibrated twice"
    assert await task.run(("superb",), ask) is True
    assert await task.run(("dull",), ask) is False
    assert task.notes() == {
        "threshold": "log-odds of Yes > -2.00 (midpoint of 7 opposite pairs of content-free inputs)"
    }
    assert ask.asked[-1] == task.requests(("dull",))[0]


async def test_a_model_without_probabilities_answers_itself() -> None:
    task = lower(("the review is positive", DYNAMIC), ("'…'", "review"), PLAIN)
    ask = Asking(lambda request: Reply("Yes" if "superb" in request.user else "No"))
    await task.prepare(ask)
    assert ask.asked == []
    assert await task.run(("superb",), ask) is True
    assert await task.run(("dull",), ask) is False
    assert task.notes() == {"threshold": "the model's own Yes or No"}


def test_several_inputs_and_literals_keep_their_places() -> None:
    task = lower(
        ("{0} follows from {evidence}", "The goose flew.", DYNAMIC), ("'…'", "'The goose flew.'", "t.evidence"), PLAIN
    )
    (request,) = task.requests(("It was seen in the air.",))
    assert isinstance(request, Generate)
    assert request.user == (
        "Is it true that the text follows from the evidence?\n\nText: The goose flew.\nEvidence: It was seen in the air."
    )


def test_templates_refer_to_the_delimited_inputs() -> None:
    task = lower(("{claim} follows from {evidence}", DYNAMIC, DYNAMIC), ("'…'", "claim", "t.evidence"))
    (request,) = task.requests(("The goose flew.", "It was seen."))
    assert isinstance(request, Generate)
    assert request.user == (
        "Is it true that the claim follows from the evidence?\n\nClaim: The goose flew.\nEvidence: It was seen."
    )


async def test_a_condition_that_varies_by_row_is_not_calibrated() -> None:
    task = lower((DYNAMIC,), ("'Is this rude? ' || body",))
    ask = says({}, otherwise=0.5)
    await task.prepare(ask)
    assert ask.asked == []
    assert await task.run(("Is this rude? Go away!",), ask) is True
    assert ask.asked[0].user == "Is it true that Is this rude? Go away?"
    assert "not calibrated" in task.notes()["threshold"]


async def test_a_null_literal_gives_null_without_a_call() -> None:
    task = lower(("the review is positive", None, DYNAMIC), ("'…'", "NULL", "review"))
    ask = says({}, otherwise=0.5)
    assert await task.run(("x",), ask) is None
    assert ask.asked == []


@pytest.mark.parametrize("condition", ["", "   ", 7, None])
def test_a_condition_has_words(condition: object) -> None:
    with pytest.raises(ValueError, match="needs its condition in words"):
        lower((condition, DYNAMIC), ("…", "review"))


def test_an_unknown_placeholder_is_an_error_before_any_call() -> None:
    with pytest.raises(ValueError, match=r"Did you mean \{review\}"):
        lower(("{reveiw} is positive", DYNAMIC), ("'…'", "review"))
