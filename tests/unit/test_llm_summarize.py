"""LLM_SUMMARIZE: one call where the group fits, a tree of calls where it does not, every row in exactly once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.engine.errors import ModelTimeout
from anserdb.udfs.models.base import Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.prompts import folding
from anserdb.udfs.prompts.folding import CHUNK_CHARACTERS
from tests.support.function_call import DYNAMIC, Asker, bound, task


def summarize(*constants: Any) -> Any:
    return task("LLM_SUMMARIZE", bound(DYNAMIC, *constants))


async def test_a_small_group_is_one_call() -> None:
    ask = Asker(("lid", "The lid is bad."))
    call, kind = summarize()
    assert await call.run([["The lid sticks.", "The lid broke."]], ask) == "The lid is bad."
    (request,) = ask.generated
    assert "The lid sticks." in request.user
    assert "The lid broke." in request.user
    assert kind.text == "VARCHAR"


async def test_an_empty_group_is_null_without_a_call() -> None:
    ask = Asker()
    assert await summarize()[0].run([[]], ask) is None
    assert ask.generated == []


async def test_a_large_group_is_folded_and_no_row_is_lost_or_doubled() -> None:
    rows = [f"<row {number:04d}>" + " word" * 60 for number in range(200)]
    marks: list[str] = []

    def answer(request: Request) -> str:
        assert isinstance(request, Generate)
        assert len(request.user) <= CHUNK_CHARACTERS
        marks.extend(row[:10] for row in rows if row[:10] in request.user)
        return f"summary {len(ask.generated)}"

    ask = Asker(("", answer))
    summary = await summarize()[0].run([rows], ask)
    first = [request for request in ask.generated if "Merge" not in request.system]
    merges = [request for request in ask.generated if "Merge" in request.system]
    assert marks == [row[:10] for row in rows]
    assert len(first) > 10
    assert len(merges) == 1
    assert summary == f"summary {len(ask.generated)}"
    for number in range(1, len(first) + 1):
        assert f": summary {number}\n" in merges[0].user + "\n"


async def test_many_tiny_texts_fit_with_their_labels() -> None:
    requests = summarize()[0].requests([["ok"] * 3000])
    assert max(len(request.user) for request in requests) <= CHUNK_CHARACTERS
    assert sum(request.user.count(": ok") for request in requests) == 3000


async def test_long_summaries_still_end() -> None:
    ask = Asker(("", lambda request: "s" * CHUNK_CHARACTERS))
    assert await summarize()[0].run([["t" * CHUNK_CHARACTERS] * 5], ask) == "s" * CHUNK_CHARACTERS
    assert len(ask.generated) == 5 + 4  # 5 chunks; pairs of summaries: 5 → 3 → 2 → 1


async def test_chunks_are_asked_at_the_same_time() -> None:
    together = asyncio.Event()

    async def wait(request: Request) -> None:
        if model.in_flight == 4:
            together.set()
        await together.wait()

    model = ScriptedModel([("Merge", "m"), ("", "s")], delay=wait)
    ask = Asker()
    ask.model = model
    async with asyncio.timeout(30):
        await summarize()[0].run([["t" * CHUNK_CHARACTERS] * 4], ask)
    assert model.max_in_flight == 4


async def test_a_failed_chunk_fails_the_group_after_its_siblings_ended() -> None:
    ask = Asker(("bad", ModelTimeout("late")), ("good", "fine"))
    rows = ["bad" * 2000, "good" * 1500, "good" * 1400]
    with pytest.raises(ModelTimeout):
        await summarize()[0].run([rows], ask)
    assert len(ask.generated) == 3


def test_the_instruction_is_part_of_every_prompt() -> None:
    request = summarize("only complaints")[0].requests([["a"]])[0]
    assert "only complaints" in request.system
    with pytest.raises(ValueError, match="text literal"):
        summarize(DYNAMIC)


def test_a_literal_is_no_group() -> None:
    with pytest.raises(ValueError, match="such as a column"):
        task("LLM_SUMMARIZE", bound("one text"))


def test_values_that_are_no_text_are_rendered() -> None:
    assert '{"a": 1}' in summarize()[0].requests([[{"a": 1}, 7]])[0].user


@given(st.lists(st.text(st.sampled_from("ab \n")), max_size=30), st.integers(1, 12), st.integers(1, 3))
def test_packing_drops_and_reorders_nothing(texts: list[str], limit: int, at_least: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "CHUNK_CHARACTERS", limit)
        for text in texts:
            pieces = list(folding.pieces(text))
            assert "".join(pieces) == text
            assert all(len(piece) <= limit for piece in pieces)
        chunks = folding.chunks(texts, "", at_least)
    assert [text for chunk in chunks for text in chunk] == texts
    assert all(len(chunk) >= at_least for chunk in chunks[:-1])
    assert all(sum(map(len, chunk)) <= limit for chunk in chunks if len(chunk) > max(1, at_least))
