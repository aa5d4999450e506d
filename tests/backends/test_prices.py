"""Money: never invented."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from anserdb.udfs.models.base import ModelSpec, Usage
from anserdb.udfs.models.prices import Cost, cost_usd, estimate_usd

MILLION = 1_000_000
OPENAI = ModelSpec("gpt-4o-mini", "openai", {"model": "gpt-4o-mini"})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def test_declared_prices_win() -> None:
    spec = ModelSpec("gpt-4o-mini", "openai", {"price_in": 2.0, "price_out": 8.0})
    assert cost_usd(spec, Usage(MILLION, MILLION // 4)) == Cost(4.0, "CREATE MODEL")


def test_a_price_that_is_missing_where_it_matters_makes_the_cost_unknown() -> None:
    spec = ModelSpec("e", "openai", {"price_in": 2.0})
    assert cost_usd(spec, Usage(MILLION, 0)) == Cost(2.0, "CREATE MODEL")
    assert cost_usd(spec, Usage(MILLION, None)) == Cost(2.0, "CREATE MODEL")
    assert cost_usd(spec, Usage(MILLION, 1)) == Cost(None, "unknown")
    assert cost_usd(spec, Usage(None, 0)) == Cost(None, "unknown")


def test_models_on_this_machine_cost_nothing() -> None:
    for spec in (
        ModelSpec("s", "scripted"),
        ModelSpec("v", "vllm", {"serve": "a/model"}),
        ModelSpec("v", "vllm", {"base_url": "http://127.0.0.1:8000/v1"}),
    ):
        assert cost_usd(spec, Usage(5, 5)) == Cost(0.0, "local")


def test_the_table_knows_openai_and_its_cache_price() -> None:
    full, cached = (cost_usd(OPENAI, Usage(MILLION, MILLION, tokens)) for tokens in (None, MILLION))
    assert full.source == cached.source == f"genai-prices {version('genai-prices')}"
    assert full.usd == pytest.approx(0.15 + 0.60)
    assert cached.usd == pytest.approx(0.075 + 0.60)
    assert estimate_usd(OPENAI, MILLION, MILLION) == full


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec("m", "openai", {"model": "no-such-model"}),
        ModelSpec("m", "openai", {"model": "gpt-4o-mini", "base_url": "https://models.example.org/v1"}),
        ModelSpec("m", "openai", {"model": "gpt-4o-mini", "base_url": "http://127.0.0.1:8000/v1"}),
        ModelSpec("m", "vllm", {"base_url": "https://gpu.example.org/v1"}),
        ModelSpec("m", "somebody-elses"),
    ],
)
def test_no_other_price_is_guessed(spec: ModelSpec) -> None:
    assert cost_usd(spec, Usage(10, 10)) == Cost(None, "unknown")


def test_tokens_that_the_server_did_not_count_cost_unknown() -> None:
    assert cost_usd(OPENAI, Usage()) == Cost(None, "unknown")


def test_the_environment_s_address_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example.org/v1")
    assert cost_usd(OPENAI, Usage(10, 10)) == Cost(None, "unknown")
