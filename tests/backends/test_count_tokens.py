"""Counting tokens in llama.cpp: the model's own tokenizer, over the text as it stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from anserdb.engine.physical.counted_tokens import counted_tokens
from anserdb.udfs.models import llamacpp
from anserdb.udfs.models.base import ChoiceAnswer, Generate, ModelSpec

OPTIONS = {"path": "smollm2", "threads": 1, "context_tokens": 512, "slots": 2}


@pytest.fixture
async def model() -> AsyncIterator[llamacpp.LlamaCpp]:
    model = llamacpp.create(ModelSpec("tiny", "llamacpp", OPTIONS))
    yield model
    await model.close()


async def test_a_count_is_what_a_prompt_grows_by(model: llamacpp.LlamaCpp) -> None:
    """The server counts a prompt's tokens; what stands between two equal words costs nothing beyond its own."""
    word, short, long = " goose", "goose" + " goose" * 3, "goose" + " goose" * 40
    replies = [
        await model.call(Generate("Answer Yes or No.", text, ChoiceAnswer(("Yes", "No"), scores=True)))
        for text in (short, long)
    ]
    tokens = [reply.usage.tokens_in or 0 for reply in replies]
    counts = [await model.count_tokens(text) for text in (short, long)]
    assert counts[1] - counts[0] == tokens[1] - tokens[0] == 37 * await model.count_tokens(word)


async def test_texts_of_all_kinds(model: llamacpp.LlamaCpp) -> None:
    assert await model.count_tokens("") == 0
    assert await model.count_tokens("語") >= 1
    assert await model.count_tokens("a\ud800b") >= 2, "half a character is replaced, not refused"
    assert await model.count_tokens("<|im_start|>") > 1, "a control word in a text is text"
    assert await model.count_tokens("word " * 5000) >= 5000, "the context does not limit a count"


async def test_explain_counts_with_what_is_open_and_opens_nothing(model: llamacpp.LlamaCpp) -> None:
    requests = [
        (Generate("Answer Yes or No.", text, ChoiceAnswer(("Yes", "No"))),) for text in ("a goose", "geese, geese")
    ]
    assert await asyncio.to_thread(counted_tokens, requests, model.capabilities) is None
    assert not model.capabilities.counts_now()
    counts = [await model.count_tokens(text) for text in ("Answer Yes or No.", "a goose", "geese, geese")]
    mean = counts[0] + (counts[1] + counts[2]) / 2
    assert await asyncio.to_thread(counted_tokens, requests, model.capabilities) == mean
