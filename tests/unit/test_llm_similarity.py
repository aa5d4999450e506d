"""LLM_SIMILARITY: the cosine, with two asks at once, one for equal texts."""

from __future__ import annotations

import asyncio

import pytest

from anserdb.engine.errors import InvalidAnswer, ModelTimeout
from anserdb.udfs.models.base import Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.function_call import DYNAMIC, Asker, bound, task

CALL, KIND = task("LLM_SIMILARITY", bound(DYNAMIC, DYNAMIC))
RULES = (("east", [2.0, 0.0]), ("north", [0.0, 3.0]), ("west", [-1.0, 0.0]), ("between", [1.0, 1.0]))


@pytest.mark.parametrize(
    ("texts", "cosine"),
    [(("east", "north"), 0.0), (("east", "west"), -1.0), (("north", "between"), 0.5**0.5), (("east", "far east"), 1.0)],
)
async def test_it_is_the_cosine(texts: tuple[str, str], cosine: float) -> None:
    assert await CALL.run(texts, Asker(*RULES)) == pytest.approx(cosine)
    assert KIND.text == "DOUBLE"


async def test_equal_texts_are_one_ask() -> None:
    ask = Asker()
    assert await CALL.run(["the same", "the same"], ask) == pytest.approx(1.0)
    assert len(ask.embedded) == 1


async def test_a_literal_is_one_of_the_texts() -> None:
    call, _ = task("LLM_SIMILARITY", bound("east", DYNAMIC))
    ask = Asker(*RULES)
    assert await call.run(["west"], ask) == pytest.approx(-1.0)
    assert [request.text for request in ask.embedded] == ["east", "west"]
    assert await task("LLM_SIMILARITY", bound(None, DYNAMIC))[0].run(["west"], ask) is None


async def test_it_is_symmetric_and_within_its_bounds() -> None:
    ask = Asker()
    for number in range(20):
        here, there = await CALL.run([f"a{number}", "b"], ask), await CALL.run(["b", f"a{number}"], ask)
        assert here == there
        assert -1 <= here <= 1
    assert {request.role for request in ask.embedded} == {"query"}


async def test_both_texts_are_asked_at_the_same_time() -> None:
    both = asyncio.Event()

    async def wait(request: Request) -> None:
        if model.in_flight == 2:
            both.set()
        await both.wait()

    model = ScriptedModel(delay=wait)
    ask = Asker()
    ask.model = model
    async with asyncio.timeout(30):
        await CALL.run(["a", "b"], ask)
    assert model.max_in_flight == 2


async def test_a_failure_is_raised_after_the_other_ask_ended() -> None:
    ask = Asker(("bad", ModelTimeout("late")))
    with pytest.raises(ModelTimeout):
        await CALL.run(["bad", "good"], ask)
    assert len(ask.embedded) == 2


@pytest.mark.parametrize("vectors", [([0.0, 0.0], [1.0, 0.0]), ([1.0], [1.0, 0.0]), ([float("inf"), 0.0], [1.0, 0.0])])
async def test_unusable_vectors_are_invalid(vectors: tuple[list[float], list[float]]) -> None:
    with pytest.raises(InvalidAnswer):
        await CALL.run(["a", "b"], Asker(("a", vectors[0]), ("b", vectors[1])))
