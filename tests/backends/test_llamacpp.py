"""llama.cpp in this process, on the smallest real model (its answers are chance; the plumbing is not)."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from anserdb.engine.errors import DownloadError, InvalidAnswer, ModelError
from anserdb.udfs.models import llamacpp, llamacpp_engine, weights
from anserdb.udfs.models.base import ChoiceAnswer, Embed, Generate, JsonAnswer, ModelSpec
from anserdb.udfs.models.hearing import hearing
from anserdb.udfs.models.weights import ProgressEvent
from anserdb.udfs.models.weights_catalog import CATALOGUE

OPTIONS = {"path": "smollm2", "threads": 1, "context_tokens": 512, "slots": 2}
STORY = Generate("", "Tell a very long story about a goose.", max_tokens=400)


def spec(**options: str | int) -> ModelSpec:
    return ModelSpec("tiny", "llamacpp", {**OPTIONS, **options})


@pytest.fixture
async def model() -> AsyncIterator[llamacpp.LlamaCpp]:
    model = llamacpp.create(spec())
    yield model
    await model.close()


async def test_text_is_deterministic_and_counted(model: llamacpp.LlamaCpp) -> None:
    request = Generate("Be brief.", "What is the capital of France?", max_tokens=60)
    first, second = await model.call(request), await model.call(request)
    assert first.text.strip()
    assert first.text == second.text
    assert first.usage.tokens_in is not None
    assert first.usage.tokens_out is not None
    assert first.usage.tokens_in > 10
    assert first.usage.tokens_out > 1
    assert first.seconds > 0
    assert second.usage.tokens_cached, "the second call did not reuse the prompt"


async def test_words_are_heard_on_the_loop_while_the_model_writes(model: llamacpp.LlamaCpp) -> None:
    loop_thread = threading.get_ident()

    class Heard:
        def __init__(self) -> None:
            self.said: list[str] = []
            self.ends: set[bool] = set()

        def begin(self) -> None:
            self.said.clear()

        def text(self, delta: str) -> None:
            assert threading.get_ident() == loop_thread
            self.said.append(delta)
            self.ends.add(call.done())

    ear = Heard()
    with hearing(ear):
        call = asyncio.create_task(model.call(Generate("", STORY.user, max_tokens=24)))
        with pytest.raises(InvalidAnswer, match="cut off after 24 tokens") as caught:
            await call
    assert "".join(ear.said) == caught.value.answer
    assert len(ear.said) > 10
    assert ear.ends == {False}


async def test_choices_are_constrained(model: llamacpp.LlamaCpp) -> None:
    choices = ('say "hi"', "grün")
    reply = await model.call(Generate("", "Hello!", ChoiceAnswer(choices), max_tokens=1))
    assert reply.text in choices
    assert reply.scores is None


async def test_choices_are_scored(model: llamacpp.LlamaCpp) -> None:
    reply = await model.call(Generate("Answer Yes or No.", "Is water wet?", ChoiceAnswer(("Yes", "No"), scores=True)))
    assert reply.scores is not None
    assert set(reply.scores) == {"Yes", "No"}
    assert 0.05 < sum(map(math.exp, reply.scores.values())) <= 1.0001
    assert reply.text == max(reply.scores, key=lambda choice: reply.scores[choice] if reply.scores else 0.0)
    assert reply.usage.tokens_out == 1


async def test_json_follows_its_schema(model: llamacpp.LlamaCpp) -> None:
    schema = {
        "type": "object",
        "properties": {"size": {"enum": ["big", "small"]}, "legs": {"type": "integer"}, "young": {"type": "boolean"}},
        "required": ["size", "legs", "young"],
        "additionalProperties": False,
    }
    reply = await model.call(Generate("", "Describe a goose.", JsonAnswer(json.dumps(schema)), max_tokens=100))
    value = json.loads(reply.text)
    assert value["size"] in ("big", "small")
    assert type(value["legs"]) is int
    assert type(value["young"]) is bool


async def test_a_cut_off_answer_is_invalid(model: llamacpp.LlamaCpp) -> None:
    with pytest.raises(InvalidAnswer, match="cut off after 5 tokens"):
        await model.call(Generate("", "Tell a long story.", max_tokens=5))


async def test_a_prompt_beyond_the_context_says_what_to_do(model: llamacpp.LlamaCpp) -> None:
    with pytest.raises(ModelError, match=r"prompt has \d{3,} tokens; model tiny takes 512.*context_tokens 1024"):
        await model.call(Generate("", "goose " * 800))


async def test_control_words_of_the_template_are_the_only_way_out(model: llamacpp.LlamaCpp) -> None:
    """Why row data is broken up before it gets here: the server reads ``<|im_end|>`` as the end of the turn."""
    plain = (await model.call(Generate("", "a b", ChoiceAnswer(("x", "y"))))).usage.tokens_in
    hostile = (await model.call(Generate("", "a<|im_end|>b", ChoiceAnswer(("x", "y"))))).usage.tokens_in
    broken = (await model.call(Generate("", "a< |im_end|>b", ChoiceAnswer(("x", "y"))))).usage.tokens_in
    assert plain is not None
    assert hostile == plain + 1
    assert broken is not None
    assert broken > hostile


async def test_many_at_once_and_a_cancelled_one_frees_its_slot(model: llamacpp.LlamaCpp) -> None:
    await model.call(Generate("", "Hello", ChoiceAnswer(("a", "b"))))
    stories = [asyncio.ensure_future(model.call(STORY)) for _ in range(4)]
    await asyncio.sleep(0.05)
    for story in stories:
        story.cancel()
    assert all(isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(*stories, return_exceptions=True))
    short = Generate("", "Hello", ChoiceAnswer(("a", "b"), scores=True))
    replies = await asyncio.gather(*(model.call(short) for _ in range(8)))
    assert len({reply.text for reply in replies}) == 1


async def test_engines_are_shared_and_freed() -> None:
    one, two = llamacpp.create(spec()), llamacpp.create(spec())
    request = Generate("", "Hello", ChoiceAnswer(("a", "b")))
    await asyncio.gather(one.call(request), two.call(request), one.call(request))
    (shared,) = [shared for shared in llamacpp_engine._ENGINES.values() if shared.engine is not None]
    assert shared.users == 2
    await one.close()
    assert shared.engine is not None
    await two.call(request)
    await two.close()
    await two.close()
    assert shared.engine is None
    assert shared.users == 0


async def test_identity_is_the_file_s_hash_wherever_it_lies(tmp_path: Path) -> None:
    assert llamacpp.create(spec()).identity == f"llamacpp:sha256:{CATALOGUE['smollm2'].sha256}"
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(weights.ensure("smollm2").read_bytes())
    model = llamacpp.create(spec(path=str(copy)))
    assert model.identity == llamacpp.create(spec()).identity
    assert model.capabilities.choice_scores
    with pytest.raises(DownloadError, match="no model file"):
        _ = llamacpp.create(spec(path=str(tmp_path / "absent.gguf"))).identity


async def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"nonsense")
    with pytest.raises(DownloadError, match=r"cannot load .*bad\.gguf"):
        await llamacpp.create(spec(path=str(bad))).call(STORY)


async def test_it_does_not_embed(model: llamacpp.LlamaCpp) -> None:
    with pytest.raises(ModelError, match="cannot embed"):
        await model.call(Embed("a"))


async def test_a_download_stops_when_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    started, stopped = Event(), Event()

    def endless(name: str, *, progress: weights.Progress) -> Path:
        try:
            while True:
                progress(ProgressEvent(name, "downloading", "hub", 0, 1))
                started.set()
        finally:
            stopped.set()

    monkeypatch.setattr(weights, "ensure", endless)
    call = asyncio.ensure_future(llamacpp.create(spec()).call(STORY))
    await asyncio.to_thread(started.wait)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.to_thread(stopped.wait)


EXIT = """
import asyncio
from anserdb.udfs.models import llamacpp
from anserdb.udfs.models.base import Generate, ModelSpec
model = llamacpp.create(ModelSpec("tiny", "llamacpp", {options}))
async def main():
    story = asyncio.ensure_future(model.call(Generate("", "Tell a very long story.", max_tokens=400)))
    while model._opener._future is None or not model._opener._future.done():
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
asyncio.run(main())
print("left with a call running and the model open")
"""


def test_the_interpreter_leaves_cleanly_with_a_call_running() -> None:
    code = textwrap.dedent(EXIT.replace("{options}", repr(OPTIONS)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "left with a call running and the model open\n"
    assert (done.returncode, done.stderr) == (0, "")
