"""LLM_EMBED: vectors of the announced length."""

from __future__ import annotations

import pytest

from anserdb.engine.errors import InvalidAnswer
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Capabilities, Embed
from tests.support.function_call import DYNAMIC, Asker, bound, task

THREE = Capabilities(embeds=True, dimension=3)


@pytest.mark.parametrize(("dimension", "text"), [(3, "FLOAT[3]"), (None, "FLOAT[]")])
def test_the_type_has_the_models_dimension(dimension: int | None, text: str) -> None:
    assert task("LLM_EMBED", bound(DYNAMIC), Capabilities(dimension=dimension))[1].text == text


async def test_a_vector_per_text_in_the_asked_role() -> None:
    ask = Asker(("goose", [1.0, 0.5, -0.25]), capabilities=THREE)
    assert await task("LLM_EMBED", bound(DYNAMIC), THREE)[0].run(["a goose"], ask) == (1.0, 0.5, -0.25)
    await task("LLM_EMBED", bound(DYNAMIC, role="query"), THREE)[0].run([{"a": "goose"}], ask)
    assert ask.embedded == [Embed("a goose", "passage"), Embed('{"a": "goose"}', "query")]


async def test_a_literal_is_embedded_too_and_null_is_not() -> None:
    ask = Asker(("goose", [1.0, 0.5, -0.25]), capabilities=THREE)
    assert await task("LLM_EMBED", bound("a goose"), THREE)[0].run([], ask) == (1.0, 0.5, -0.25)
    assert await task("LLM_EMBED", bound(None), THREE)[0].run([], ask) is None
    assert len(ask.embedded) == 1


def test_role_is_checked() -> None:
    (option,) = functions()["LLM_EMBED"].options
    assert option.check("Query") == "query"
    with pytest.raises(ValueError, match=r"'passage'.*'query'.*not 'document'"):
        option.check("document")


@pytest.mark.parametrize("vector", [[1.0, 2.0], [1.0, 2.0, float("nan")], []])
async def test_an_unusable_vector_is_invalid(vector: list[float]) -> None:
    with pytest.raises(InvalidAnswer):
        await task("LLM_EMBED", bound(DYNAMIC), THREE)[0].run(["x"], Asker(("", vector), capabilities=THREE))


async def test_a_text_model_is_refused() -> None:
    with pytest.raises(InvalidAnswer, match="embedding model"):
        await task("LLM_EMBED", bound(DYNAMIC), THREE)[0].run(["x"], Asker(("", lambda request: "text")))
