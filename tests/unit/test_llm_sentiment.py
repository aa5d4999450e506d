"""LLM_SENTIMENT: one of four labels, or one per aspect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anserdb.engine.errors import InvalidAnswer
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, JsonAnswer, Reply
from tests.support.function_call import DYNAMIC, Asker, bound, task

LABELS = ("positive", "negative", "neutral", "mixed")
SCORES = Capabilities(choice_scores=True)


def sentiment(capabilities: Capabilities | None = None, **options: Any) -> Any:
    return task("LLM_SENTIMENT", bound(DYNAMIC, texts=("t.body",), **options), capabilities)


async def test_the_likeliest_label_is_taken_without_calibration() -> None:
    call, kind = sentiment(SCORES)
    assert kind.text == "VARCHAR"
    scores = {"positive": -1.2, "negative": -3.0, "neutral": -0.5, "mixed": -4.0}
    ask = Asker(("", lambda request: Reply("neutral", scores)))
    await call.prepare(ask)
    assert await call.run(["It holds 1.7 litres."], ask) == "neutral"
    (request,) = ask.generated
    assert call.preparation() == ()
    assert request.answer == ChoiceAnswer(LABELS, scores=True)
    with pytest.raises(InvalidAnswer):
        await sentiment(Capabilities())[0].run(["x"], Asker(("", lambda request: Reply("good"))))


async def test_a_model_without_probabilities_chooses_and_is_told_what_the_labels_mean() -> None:
    call, _ = sentiment(Capabilities())
    ask = Asker(("Late", "mixed"), capabilities=Capabilities())
    await call.prepare(ask)
    assert await call.run(["Late, but cheap."], ask) == "mixed"
    (request,) = ask.generated
    assert "mixed: the text praises one thing and complains of another" in request.system


async def test_aspects_are_one_call_and_a_struct() -> None:
    call, kind = sentiment(aspects=("price", "end date"))
    assert kind.text == 'STRUCT(price VARCHAR, "end date" VARCHAR)'
    ask = Asker(("", '{"price": "positive", "end date": null}'))
    assert await call.run(["Cheap."], ask) == {"price": "positive", "end date": None}
    (request,) = ask.generated
    assert isinstance(request.answer, JsonAnswer)
    schema = json.loads(request.answer.schema)
    assert schema["properties"]["price"]["anyOf"][0]["enum"] == list(LABELS)
    assert "- end date" in request.system
    with pytest.raises(InvalidAnswer, match="'great' is not one of"):
        await call.run(["x"], Asker(("", '{"price": "great", "end date": null}')))


async def test_a_literal_is_asked_and_null_is_not() -> None:
    ask = Asker(("", "neutral"), capabilities=Capabilities())
    assert await task("LLM_SENTIMENT", bound("It is a kettle."))[0].run([], ask) == "neutral"
    assert await task("LLM_SENTIMENT", bound(None))[0].run([], ask) is None
    assert len(ask.generated) == 1


@pytest.mark.parametrize("aspects", [[], "price", ["price", "Price"], ["price", ""], ["price", 3], [None], None])
def test_aspects_are_different_names(aspects: object) -> None:
    (option,) = functions()["LLM_SENTIMENT"].options
    with pytest.raises(ValueError, match="takes a list of different, non-empty names"):
        option.check(aspects)


def test_examples() -> None:
    assert sentiment(SCORES)[0].example_answer("mixed") == "mixed"
    assert sentiment(aspects=("price",))[0].example_answer({"price": "mixed"}) == '{"price": "mixed"}'
    with pytest.raises(ValueError, match="none of the labels"):
        sentiment(SCORES)[0].example_answer("great")
