"""LLM_COUNT_TOKENS at a server: asked where it has a tokenizer, learnt once, never a model call."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BindError, ModelError, ModelUnavailable, NotSupportedError
from anserdb.udfs.models import openai_compatible, vllm
from anserdb.udfs.models.base import Model, ModelSpec
from tests.support.loopback import LoopbackServer, Tokenizer

TEXTS = {"two words": 2, "a": 1, "one two three": 3, "": 0}
BACKENDS = {"openai": openai_compatible.BACKEND, "vllm": vllm.BACKEND}


def connect(provider: str, **options: Any) -> Model:
    return BACKENDS[provider].create(ModelSpec("remote", provider, {"model": "simulated", **options}))


async def count(model: Model, text: str) -> int:
    counter = model.capabilities.count_tokens
    assert counter is not None
    return await counter(text)


@pytest.mark.parametrize("provider", BACKENDS)
@pytest.mark.parametrize("kind", ["vllm", "llamacpp"])
async def test_a_servers_own_count(provider: str, kind: Tokenizer) -> None:
    async with LoopbackServer(tokenize=kind) as server:
        model = connect(provider, base_url=server.base_url)
        counts = await asyncio.gather(*(count(model, text) for text in TEXTS))
        await model.close()
    assert counts == list(TEXTS.values())
    learning = 1 if kind == "llamacpp" else 0
    assert len(server.stats.tokenized) == 3 + learning, "what the server understands is learnt once, by one text"
    assert server.stats.requests == 0


async def test_a_gateway_may_have_it_under_its_version() -> None:
    async with LoopbackServer(tokenize="vllm") as server:
        root = server.base_url.removesuffix("/v1")
        model = connect("openai", base_url=f"{root}/deep/v1")
        with pytest.raises(NotSupportedError):
            await count(model, "x")
        await model.close()
        model = connect("openai", base_url=root)
        assert await count(model, "two words") == 2
        await model.close()


@pytest.mark.parametrize("provider", BACKENDS)
async def test_a_server_without_it_is_asked_once(provider: str) -> None:
    async with LoopbackServer() as server:
        model = connect(provider, base_url=server.base_url)
        for _ in range(3):
            with pytest.raises(NotSupportedError, match=r"remote, http://127.*has no /tokenize.*model := 'small'"):
                await count(model, "some words")
        tried = server.stats.unknown_paths
        await model.close()
    assert tried == ["/tokenize"] * 2 + ["/v1/tokenize"] * 2, "for two kinds of server"


async def test_an_unknown_model_is_not_a_missing_tokenizer() -> None:
    async with LoopbackServer(tokenize="vllm") as server:
        model = connect("vllm", base_url=server.base_url, model="another")
        with pytest.raises(ModelError, match="another") as caught:
            await count(model, "some words")
        await model.close()
    assert not isinstance(caught.value, NotSupportedError)


async def test_nobody_there() -> None:
    async with LoopbackServer(tokenize="vllm") as server:
        address = server.base_url
    model = connect("vllm", base_url=address)
    with pytest.raises(ModelUnavailable):
        await count(model, "x")
    await model.close()


async def test_a_started_server_is_started_to_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path(__file__).parents[1] / "support" / "loopback.py"

    def command(port: int) -> list[str]:
        return [
            sys.executable,
            str(script),
            "--port",
            str(port),
            "--tokenize",
            "vllm",
            "--model",
            "served",
            "--forever",
        ]

    monkeypatch.setattr(vllm, "vllm_command", lambda *_, **__: command)
    model = BACKENDS["vllm"].create(ModelSpec("mine", "vllm", {"serve": str(tmp_path), "model": "served"}))
    try:
        assert await count(model, "three little words") == 3
    finally:
        await model.close()


def test_openai_itself_has_none() -> None:
    with anserdb.connect(":memory:", store=":memory:") as con, pytest.raises(BindError, match="is not at hand"):
        con.sql("SELECT LLM_COUNT_TOKENS('x', model := 'gpt-4.1-mini')")


def test_in_sql_it_is_no_call() -> None:
    rows = "(VALUES ('two words'), (NULL), ('a'), ('two words')) AS t(x)"
    with LoopbackServer(tokenize="vllm") as server, connected(server) as con:
        con.sql("SET llm_max_calls = 0")
        result = con.sql(f"SELECT LLM_COUNT_TOKENS(x) FROM {rows}")
        assert result is not None
        assert result.fetchall() == [(2,), (None,), (1,), (2,)]
        assert con.usage().num_rows == 0
        calls = con.sql("FROM llm_calls()")
        assert calls is not None
        assert calls.fetchall() == []
        plan = con.explain(f"SELECT LLM_COUNT_TOKENS(x) FROM {rows}")
        assert "calls≈0 tokens in≈0 tokens out≈0 $0.0000" in plan
        assert "total: calls≈0 tokens in≈0 $0.0000" in plan
        assert "actual: rows=4 calls=0" in con.explain(f"SELECT LLM_COUNT_TOKENS(x) FROM {rows}", analyze=True)


def test_in_sql_a_server_without_it_says_what_to_do() -> None:
    with LoopbackServer() as server, connected(server) as con:
        result = con.sql("SELECT LLM_COUNT_TOKENS(x) FROM (VALUES ('two words')) AS t(x)")
        assert result is not None
        with pytest.raises(NotSupportedError, match="has no /tokenize"):
            result.fetchall()


def connected(server: LoopbackServer) -> anserdb.Connection:
    con = anserdb.connect(":memory:", store=":memory:", llm_model="remote")
    con.sql(f"CREATE MODEL remote (PROVIDER vllm, MODEL 'simulated', BASE_URL '{server.base_url}')")
    return con
