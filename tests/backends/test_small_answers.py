"""The model ``small`` itself, on texts whose answer nobody would dispute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest

from anserdb.engine.types import VARCHAR
from anserdb.udfs.functions import llm_classify, llm_filter, llm_score
from anserdb.udfs.models import llamacpp
from anserdb.udfs.models.base import ModelSpec, Reply, Request
from anserdb.udfs.spec import DYNAMIC, Arguments

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
T = TypeVar("T")
PRAISE = ("A wonderful film, I loved every minute.", "Superb acting and a moving story.", "The best movie of the year!")
BLAME = ("A dreadful film, I hated every minute.", "Wooden acting and a boring story.", "The worst movie of the year!")


class Model:
    """Asks without a dispatcher."""

    def __init__(self) -> None:
        self.model = llamacpp.create(ModelSpec("small", "llamacpp", {"path": "small"}))

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        return parse(await self.model.call(request))


@pytest.fixture
async def ask() -> AsyncIterator[Model]:
    asking = Model()
    yield asking
    await asking.model.close()


def arguments(*constants: object) -> Arguments:
    return Arguments(constants, (VARCHAR,) * len(constants), tuple("review" for _ in constants))


@pytest.mark.parametrize("condition", ["the review is positive", "Is this movie review positive?"])
async def test_filter_and_score(ask: Model, condition: str) -> None:
    for function, limit in ((llm_filter.FUNCTION, 0.5), (llm_score.FUNCTION, 0.5)):
        task = function.lower(arguments(condition, DYNAMIC), ask.model.capabilities)
        await task.prepare(ask)
        answers = await asyncio.gather(*(task.run((text,), ask) for text in PRAISE + BLAME))
        assert [float(answer) > limit for answer in answers] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("labels", [["positive", "negative"], ["negative", "positive"]])
async def test_classify_in_either_order(ask: Model, labels: list[str]) -> None:
    task = llm_classify.FUNCTION.lower(arguments(DYNAMIC, labels), ask.model.capabilities)
    await task.prepare(ask)
    answers = await asyncio.gather(*(task.run((text,), ask) for text in PRAISE + BLAME))
    assert answers == ["positive"] * 3 + ["negative"] * 3
