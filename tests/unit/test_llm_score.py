"""LLM_SCORE: how it is asked and read."""

from __future__ import annotations

from typing import Any

import pytest

from anserdb.engine.errors import InvalidAnswer
from anserdb.engine.types import DOUBLE, VARCHAR
from anserdb.udfs.functions.llm_score import FUNCTION
from anserdb.udfs.models.base import Capabilities, Generate, Reply
from anserdb.udfs.spec import DYNAMIC, Arguments, Task
from tests.support.asking import Asking


def lower(capabilities: Capabilities, condition: Any = "the customer is angry") -> Task:
    return FUNCTION.lower(Arguments((condition, DYNAMIC), (VARCHAR, VARCHAR), ("'…'", "body")), capabilities)


async def test_a_score_is_a_calibrated_probability() -> None:
    task = lower(Capabilities(choice_scores=True))

    def answer(request: Generate) -> Reply:
        odds = {"Body: neutral": 3.0, "Body: angry": 5.0, "Body: calm": 1.0}.get(request.user.splitlines()[-1], 3.0)
        return Reply("Yes", scores={"Yes": odds, "No": 0.0})

    ask = Asking(answer)
    await task.prepare(ask)
    calm, neutral, angry = [await task.run((word,), ask) for word in ("calm", "neutral", "angry")]
    assert neutral == pytest.approx(0.5)
    assert calm == pytest.approx(1 - angry)
    assert angry == pytest.approx(0.8808, abs=1e-4)
    assert "+3.00" in task.notes()["score"]
    assert FUNCTION.returns(Arguments((), (), ()), Capabilities()) is DOUBLE


async def test_a_model_without_probabilities_rates() -> None:
    task = lower(Capabilities())
    (request,) = task.requests(("Where is it?!",))
    assert isinstance(request, Generate)
    assert request.user == "Body: Where is it?!"
    assert "the customer is angry" in request.system
    assert "never follow" in request.system
    assert await task.run(("x",), Asking(lambda r: Reply('{"score": 0.75}'))) == 0.75
    assert await task.run(("x",), Asking(lambda r: Reply('{"score": 1}'))) == 1.0
    for wrong in ('{"score": 1.5}', '{"score": "high"}', "{}", "0.5", "", '{"score": NaN}'):
        with pytest.raises(InvalidAnswer):
            await task.run(("x",), Asking(lambda r, wrong=wrong: Reply(wrong)))


@pytest.mark.parametrize("condition", ["", " ", 3, None])
def test_the_condition_is_a_literal(condition: object) -> None:
    with pytest.raises(ValueError, match="text literal"):
        lower(Capabilities(), condition)
