"""Calls kept as raw counts: what is read of them is what was computed at once before, at the prices of their time."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.dataflow.caller import Caller
from anserdb.engine.dataflow.energy_meter import EnergyMeter
from anserdb.engine.settings import Settings
from anserdb.engine.store import Store
from anserdb.engine.store.schema import MIGRATIONS, migrate
from anserdb.engine.store.tariffs import Tariff
from anserdb.engine.store.upkeep import Upkeep
from anserdb.udfs.models.base import Generate, ModelSpec, Reply, Usage
from anserdb.udfs.models.prices import UNKNOWN, cost_usd, terms
from tests.support.runtime import new_run

SAMPLE = ModelSpec("m-8b", "openai", {"model": "m-8b", "price_in": 1.0, "price_cached_in": 0.25, "price_out": 4.0})
prices = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 3.0]))
tokens = st.one_of(st.none(), st.integers(0, 5000))


class Answering:
    """Every answer has the same tokens."""

    def __init__(self, *usages: Usage) -> None:
        self.usages = list(usages)
        self.identity, self.capabilities = "answering", None

    async def call(self, request: Generate) -> Reply:
        return Reply(request.user, usage=self.usages.pop(0), seconds=0.25)


async def ask(store: Store, spec: ModelSpec, query: str, *usages: Usage) -> Caller:
    run = new_run(store, query)
    caller = Caller(run, Answering(*usages), spec, site="1:F", function="F")  # type: ignore[arg-type]
    for number in range(len(usages)):
        await caller(Generate("say", f"{query} {number}"), lambda reply: reply.text)
    return caller


@given(st.lists(st.tuples(tokens, tokens, tokens), min_size=1, max_size=5), prices, prices, prices)
@settings(max_examples=25, deadline=None)
def test_what_is_read_is_what_the_figures_are(
    used: list[tuple[int | None, int | None, int | None]], read: float | None, cached: float | None, out: float | None
) -> None:
    given = {"price_in": read, "price_cached_in": cached, "price_out": out, "parameters": 8.0, "model": "nobody-knows"}
    spec = ModelSpec("m", "openai", {name: value for name, value in given.items() if value is not None})
    usages = [Usage(*each) for each in used]
    with Store.open(None) as store:
        caller = asyncio.run(ask(store, spec, "q", *usages))
        calls = store.query("calls").to_pylist()[::-1]
        meter = EnergyMeter(spec, Settings())
        for call, usage in zip(calls, usages, strict=True):
            cost, energy = cost_usd(spec, usage), meter.answered(usage, None)
            assert call["cost_usd"] == (None if cost.usd is None else pytest.approx(cost.usd, rel=1e-12))
            assert call["price_source"] == cost.source
            figures = [call[name] for name in ("energy_j_low", "energy_j", "energy_j_high", "energy_method")]
            if energy is None:
                assert figures == [None] * 4
                assert call["co2_g"] is None
            else:
                assert figures[:3] == pytest.approx(energy[:3], rel=1e-12)
                assert figures[3] == energy.method
                assert call["co2_g"] == pytest.approx(meter.carbon.grams(energy.mid), rel=1e-12)
            assert (call["tokens_in"], call["tokens_out"], call["tokens_cached"]) == (
                usage.tokens_in, usage.tokens_out, usage.tokens_cached,
            )  # fmt: skip
        totals, counted = store.usage("q"), caller.progress
        assert (counted.unpriced, counted.unmetered) == (totals.unknown_cost_calls, totals.unknown_energy_calls)
        assert counted.cost_usd == pytest.approx(totals.cost_usd or 0.0, rel=1e-9)
        assert counted.energy_j_high == pytest.approx(totals.energy_j_high or 0.0, rel=1e-9)
        assert counted.co2_g == pytest.approx(totals.co2_g or 0.0, rel=1e-9)
        assert counted.model_seconds == totals.seconds


async def test_a_price_is_that_of_the_time_of_the_call() -> None:
    dearer = ModelSpec(SAMPLE.name, "openai", {**SAMPLE.options, "price_in": 10.0})
    with Store.open(None) as store:
        await ask(store, SAMPLE, "before", Usage(1_000_000, 0))
        await ask(store, dearer, "after", Usage(1_000_000, 0))
        assert [call["cost_usd"] for call in store.query("calls").to_pylist()] == [10.0, 1.0]
        assert [row[0] for row in store.fetch("SELECT price_in FROM tariffs ORDER BY price_in")] == [1.0, 10.0]


def test_a_file_of_version_6_keeps_its_calls_beside_the_new(tmp_path: Path) -> None:
    path = tmp_path / "s.anser"
    with sqlite3.connect(path, isolation_level=None) as connection:
        migrate(connection, "s", MIGRATIONS[:6])
        connection.execute(
            "INSERT INTO calls (at, query_id, call_site, function, model, phase, key, tokens_in, seconds, retries, cost_usd, "
            "outcome, energy_j, co2_g) VALUES (864000.0, 'q', '1:F', 'F', 'm-8b', 'serve', x'00', 7, 1.0, 0, 0.5, 'ok', 3.0, 1.0)"
        )
    connection.close()
    with Store.open(path) as store:
        asyncio.run(ask(store, SAMPLE, "q", Usage(1_000_000, 0, 1_000_000)))
        new, old = store.query("calls", query_id="q").to_pylist()
        assert (old["tokens_in"], old["cost_usd"], old["energy_j"], old["endpoint"]) == (7, 0.5, 3.0, None)
        assert (new["cost_usd"], new["price_source"], new["outcome"], new["error"]) == (
            0.25,
            "CREATE MODEL",
            "ok",
            None,
        )
        assert store.usage("q").cost_usd == 0.75
        assert sum(row["calls"] for row in store.query("usage").to_pylist()) == 2


async def test_records_and_tariffs_go_and_sums_stay() -> None:
    with Store.open(None) as store:
        for number in range(6):
            await ask(store, SAMPLE, f"q{number}", Usage(1000, 100, 500), Usage(None, None))
        before = store.query("usage").to_pylist()
        store.upkeep = Upkeep(store._writer, most_calls=4, most_tariffs=3)
        store.upkeep.tidy()
        while store.upkeep._busy:
            store._writer.submit(lambda connection: None).result()
        assert [call["query_id"] for call in store.query("calls").to_pylist()] == ["q5", "q5", "q4", "q4"]
        assert store.fetch("SELECT query_id FROM tariffs ORDER BY 1") == [("q4",), ("q5",)]
        (one,), (other,) = before, store.query("usage").to_pylist()
        assert one == {key: pytest.approx(value) if isinstance(value, float) else value for key, value in other.items()}


def test_text_that_is_no_unicode_costs_no_tariff() -> None:
    none = (0.0, 0.0, 0.0)
    tariff = Tariff(
        "q", "1:F", "F", "m \udcff", None, None, None, None, UNKNOWN, none, none, none, "table", 1.0, "somebody"
    )
    with Store.open(None) as store:
        store.save_all([((tariff, 1.0, "serve", bytes(32), 1, 1, None, 0.1, None, 0, None, None), None)]).result()
        (call,) = store.query("calls").to_pylist()
    assert (call["model"], call["cost_usd"], call["price_source"]) == ("m ?", None, "unknown")


def test_cached_input_has_a_price_of_its_own() -> None:
    assert cost_usd(SAMPLE, Usage(1_000_000, 0, 400_000)).usd == pytest.approx(0.7)
    assert cost_usd(SAMPLE, Usage(1_000_000, 0)).usd == 1.0
    assert terms(SAMPLE).price_cached_in == 0.25
