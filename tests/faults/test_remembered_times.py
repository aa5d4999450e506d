"""A process begins with the service times that earlier ones have measured, and soon believes its own."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from anserdb.engine.dataflow import gates
from anserdb.engine.dataflow.calibration import REMEMBERED, Calibration
from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.dataflow.known_devices import informed
from anserdb.engine.store import Store
from anserdb.udfs.models.base import ModelSpec
from anserdb.udfs.models.energy import CORE_W
from anserdb.udfs.models.wrap.gate import Limits
from tests.support.doors import child, connect
from tests.support.loopback import LoopbackServer

SPEC = ModelSpec("m", "openai", {"price_in": 1.5, "price_out": 6.0})
LIMITS = Limits("http://127.0.0.1:1/v1", "m", 8, name="m")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", "planted")


def test_a_fresh_dispatcher_expects_what_the_store_tells() -> None:
    with Store.open(None) as store:
        for number in range(300):
            store.traces.save([("q", "s", LIMITS.endpoint, "m", number, 0.0, 1.0, 1.2 + 0.001 * number, "ok")]).result()
        store.traces.save([("q", "s", LIMITS.endpoint, "m", 1, 0.0, 1.0, 99.0, "error")]).result()
        store.traces.save([("q", "s", LIMITS.endpoint, "other", 1, 0.0, 1.0, 99.0, "ok")]).result()
        fresh = Gates(LoopClock())
        gate = informed(fresh.open, SPEC, store)(LIMITS)
        (device,) = fresh.resources().devices
        assert device.served("m").service.seconds(400) == pytest.approx(0.6, rel=1e-6)
        unheard = Gates(LoopClock())
        kept = unheard.open(LIMITS)
        assert unheard.resources().devices[0].served("m").service.seconds(400) == 0
        # Opened again, by whoever: what is known by now is not thrown away.
        calls = gate.lane.places[0].calibration.calls
        again = informed(fresh.open, SPEC, store)(LIMITS)
        assert again.lane.places[0].calibration.calls == calls == 300
        del kept


def test_what_a_process_measures_itself_soon_outweighs_what_it_remembers() -> None:
    dice = random.Random(1)
    learnt = Calibration()
    learnt.remember([(100.0, 1.0)] * 5_000)
    assert learnt.service().seconds(100) == pytest.approx(1.0)
    for _ in range(int(3 * REMEMBERED)):
        learnt.observe(100.0, 0.1 * dice.uniform(0.9, 1.1))
    assert learnt.service().seconds(100) < 0.4
    own = learnt.calls
    learnt.remember([(100.0, 50.0)])
    assert learnt.calls == own, "only before the first call"


def test_a_second_process_starts_from_what_the_first_has_measured(tmp_path: Path) -> None:
    store = tmp_path / "shop.anser"
    with LoopbackServer(latency_s=0.05) as server:
        with child(server, "con.sql(QUERY).fetchall(); con.close()", store=store, rows=12) as first:
            _, problems = first.communicate(timeout=60)
        assert (problems, first.returncode) == (b"", 0)
        asked = server.stats.requests
        with connect(server, store=store, rows=1) as con:
            assert seconds_expected(server.base_url) is None
            explained = con.sql("EXPLAIN SELECT LLM_COMPLETE('say', body) AS x FROM t")
            assert explained is not None
            explained.fetchall()
            expected = seconds_expected(server.base_url)
            assert expected is not None
            assert expected >= 0.05
        assert server.stats.requests == asked == 12


def seconds_expected(endpoint: str) -> float | None:
    known = [device for device in gates.shared().resources().devices if device.name == endpoint]
    return known[0].served("simulated").service.seconds(50) if known else None


def test_devices_know_what_their_models_cost_and_draw() -> None:
    with Store.open(None) as store:
        fresh = Gates(LoopClock())
        away = informed(fresh.open, SPEC, store)(LIMITS)
        here = informed(fresh.open, ModelSpec("own", "scripted", {"threads": 4}), store)(
            Limits("scripted:own", "own", 1)
        )
        known = {device.name: device for device in fresh.resources().devices}
        served = known[away.device.name].served("m")
        assert (served.price_in, served.price_out) == (1.5, 6.0)
        assert known[away.device.name].watts_active is None, "nobody tells"
        own = known[here.device.name]
        assert (own.served("own").price_in, own.watts_active) == (0.0, 4 * CORE_W[1])
        assert fresh.resources().from_json(fresh.resources().to_json()) == fresh.resources()
