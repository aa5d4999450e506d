"""Energy of calls: the published regression, ranges that hold the published measurements, counters that lose nothing."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.engine.dataflow.energy_meter import CutOff, EnergyMeter
from anserdb.engine.errors import BindError, ModelTimeout, ModelUnavailable, RateLimited
from anserdb.engine.settings import Country, Settings
from anserdb.udfs.models import power
from anserdb.udfs.models.base import Generate, ModelSpec, Usage
from anserdb.udfs.models.carbon import GRAMS_PER_KWH, carbon_intensity
from anserdb.udfs.models.energy import (
    CORE_W,
    counted_energy,
    cpu_energy,
    cut_off_energy,
    joules_per_output_token,
    per_token,
)
from anserdb.udfs.models.parameters import Parameters, parameters_of
from anserdb.udfs.models.power import SharedCounter
from anserdb.udfs.models.registry import validate

LLAMA = ModelSpec("llama-3.1-8b-instruct", "openai")

# Joules an output token at a PUE of 1.2, computed once with EcoLogits 0.11.3's own functions (ecologits.impacts.llm).
THEIRS = [
    (8, 8, 64, 0.3209493043911194),
    (70, 70, 64, 2.3671043742006157),
    (37, 671, 64, 14.32404322986395),
    (3, 30, 16, 0.48584976281218006),
    (405, 405, 128, 18.101538375492062),
    (0.5, 0.5, 1, 3.8000606597738287),
]


@pytest.mark.parametrize(("active", "total", "batch", "joules"), THEIRS)
def test_the_regression_is_the_published_one(active: float, total: float, batch: float, joules: float) -> None:
    assert 1.2 * joules_per_output_token(Parameters(active, total), batch) == pytest.approx(joules, rel=1e-9)


def test_the_range_of_an_8b_model_holds_what_was_published() -> None:
    energy = counted_energy(per_token(LLAMA), Usage(0, 1000))
    assert energy is not None
    assert energy.method == "table"
    for joules_a_token in (0.047, 0.070, 0.32):
        assert energy.low <= 1000 * joules_a_token <= energy.high
    assert energy.mid == pytest.approx(320, rel=0.01)


@given(
    st.floats(0.1, 500), st.floats(1, 4), st.floats(1, 512), st.integers(0, 100_000), st.integers(0, 100_000)
)  # fmt: skip
def test_a_range_is_one_and_grows_with_the_model_and_with_tokens(
    active: float, more: float, batch: float, read: int, written: int
) -> None:
    options = {"parameters": active * more, "active_parameters": active, "batch": batch}
    small = counted_energy(per_token(ModelSpec("m", "openai", options)), Usage(read, written))
    options["active_parameters"] = active * more
    large = counted_energy(per_token(ModelSpec("m", "openai", options)), Usage(read, written))
    longer = counted_energy(per_token(ModelSpec("m", "openai", options)), Usage(read + 1, written + 1))
    assert small is not None
    assert large is not None
    assert longer is not None
    assert 0 <= small.low <= small.mid <= small.high
    assert large.mid >= small.mid
    assert longer.low > large.low


def test_tokens_of_a_prefix_cache_are_not_read_again() -> None:
    tokens = per_token(LLAMA)
    assert counted_energy(tokens, Usage(500, 3, 400)) == counted_energy(tokens, Usage(100, 3))
    assert counted_energy(tokens, Usage(None, 3)) is None


@pytest.mark.parametrize(
    ("name", "active", "total"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8, 8),
        ("Qwen3-30B-A3B", 3, 30),
        ("smollm2-360m-instruct", 0.36, 0.36),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 12.9, 46.7),
        ("DeepSeek-R1-Distill-Qwen-32B", 32, 32),
        ("gpt-oss-120b", 5.1, 116.8),
    ],
)
def test_names_tell_sizes(name: str, active: float, total: float) -> None:
    assert parameters_of(ModelSpec("m", "openai", {"model": name})) == Parameters(active, total)


@pytest.mark.parametrize("name", ["gpt-4.1-mini", "claude-sonnet-4", "gpt-4o-2024-11-20", "text-embedding-3-small"])
def test_a_model_whose_size_nobody_tells_has_a_wide_range_and_says_so(name: str) -> None:
    tokens = per_token(ModelSpec(name, "openai"))
    assert tokens.method == "default"
    assert tokens.written[2] > 200 * tokens.written[0] or tokens.read[2] > 80 * tokens.read[0]


def test_what_create_model_declares_goes_first() -> None:
    spec = validate(ModelSpec("m", "openai", {"joules_out": 0.2, "joules_in": 0.01, "parameters": 70}))
    energy = counted_energy(per_token(spec), Usage(100, 10))
    assert energy is not None
    assert (energy.mid, energy.method) == (pytest.approx(3.0), "provider")
    assert energy.low < energy.mid < energy.high
    with pytest.raises(BindError, match="parameters"):
        validate(ModelSpec("m", "openai", {"parameters": 0}))


def test_a_call_that_was_cut_off_may_have_taken_nothing_or_its_whole_answer() -> None:
    tokens = per_token(LLAMA)
    energy = cut_off_energy(tokens, 100, 500, 100 * tokens.seconds)
    whole = counted_energy(tokens, Usage(100, 500))
    likely = counted_energy(tokens, Usage(100, 100))
    assert whole is not None
    assert likely is not None
    assert (energy.low, energy.mid, energy.high) == (0.0, pytest.approx(likely.mid), pytest.approx(whole.high))
    assert energy.method == "default"


# --- counters -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 5)), min_size=1, max_size=60))
def test_shares_of_a_counter_are_all_of_it(steps: list[tuple[float, int]]) -> None:
    """What it counts while nobody is under way is nobody's; everything else is somebody's."""
    now = theirs = shared = 0.0
    counter = SharedCounter(lambda: now)
    under_way: list[float] = []
    for grown, choice in steps:
        now += grown
        theirs += grown if under_way else 0.0
        if under_way and choice < 2:
            shared += counter.end(under_way.pop(choice % len(under_way)))
        else:
            under_way.append(counter.begin())
    for begun in under_way:
        shared += counter.end(begun)
    assert shared == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_cpu_seconds_are_watts_of_a_core() -> None:
    assert cpu_energy(2.0, None).mid == 2.0 * CORE_W[1]
    stated = cpu_energy(2.0, 4.0)
    assert (stated.mid, stated.method) == (8.0, "tdp")
    assert stated.low < 8.0 < stated.high


class Nvml:
    """NVIDIA's binding, of two GPUs."""

    def __init__(self) -> None:
        self.millijoules = {0: 1_000_000, 1: 5_000_000}

    def nvmlInit(self) -> None: ...  # noqa: N802

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.millijoules)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        return self.millijoules[handle]


def test_gpus_of_this_machine_are_read_when_the_binding_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)  # type: ignore[arg-type]
    monkeypatch.setattr(power, "NVML_EVERY_S", 0.0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    power.gpu_joules.cache_clear()
    try:
        meter = EnergyMeter(ModelSpec("m", "vllm", {"base_url": "http://127.0.0.1:1/v1"}), Settings())
        share = meter.share()
        assert share is not None
        share.begin()
        nvml.millijoules = {0: 9_000_000, 1: 5_030_000}
        energy = meter.answered(Usage(), share)
    finally:
        power.gpu_joules.cache_clear()
    assert energy is not None
    assert (energy.mid, energy.method) == (pytest.approx(30.0), "nvml")
    assert energy.low < 30.0 < energy.high


def test_without_the_binding_a_servers_tokens_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace())  # type: ignore[arg-type]
    power.gpu_joules.cache_clear()
    try:
        meter = EnergyMeter(ModelSpec("m-8b", "vllm", {"base_url": "http://127.0.0.1:1/v1"}), Settings())
    finally:
        power.gpu_joules.cache_clear()
    assert meter.share() is None
    here = meter.answered(Usage(0, 10), None)
    there = EnergyMeter(ModelSpec("m-8b", "vllm", {"base_url": "http://192.0.2.1/v1"}), Settings()).answered(
        Usage(0, 10), None
    )
    assert here is not None
    assert there is not None
    assert there.mid == pytest.approx(1.2 * here.mid), "only a data centre has an overhead"


# --- calls without an answer ----------------------------------------------------------------------------------------------


def test_what_failed_is_counted_by_how_it_failed() -> None:
    meter = EnergyMeter(LLAMA, Settings())
    request = Generate("", "x" * 400, max_tokens=50)
    late = meter.unanswered(CutOff(request, ModelTimeout("late"), 2.0), Usage(), None)
    away = meter.unanswered(CutOff(request, RateLimited("busy"), 2.0), Usage(), None)
    broken = meter.unanswered(CutOff(request, ModelUnavailable("500"), 2.0), Usage(), None)
    counted = meter.unanswered(CutOff(request, None, 2.0), Usage(100, 50), None)
    assert late is not None
    assert away is not None
    assert broken is not None
    assert late.low == 0 < late.mid < late.high
    assert (away.low, away.mid, away.high) == (0, 0, 0)
    assert (broken.mid, broken.high) == (0, late.high)
    assert counted == meter.answered(Usage(100, 50), None)


# --- emissions ------------------------------------------------------------------------------------------------------------


def test_every_region_of_the_setting_has_a_figure() -> None:
    assert set(GRAMS_PER_KWH) == set(get_args(Country))


def test_settings_say_what_a_kilowatt_hour_emits() -> None:
    settings = Settings()
    settings.assign("llm_carbon_region", "fr")
    assert EnergyMeter(LLAMA, settings).carbon == carbon_intensity("FR", None)
    settings.assign("llm_carbon_region", "World")
    assert settings.llm_carbon_region == "world"
    with pytest.raises(BindError, match=r"llm_carbon_region.*did you mean 'world'.*AU, BR"):
        settings.assign("llm_carbon_region", "Worlds")
    with pytest.raises(BindError, match="no region 'Atlantis'"):
        settings.assign("llm_carbon_region", "Atlantis")
    settings.assign("llm_carbon_g_per_kwh", 36.0)
    carbon = EnergyMeter(LLAMA, settings).carbon
    assert (carbon.grams(1e5), carbon.source) == (pytest.approx(1.0), "SET llm_carbon_g_per_kwh")
    with pytest.raises(BindError, match="llm_pue"):
        settings.assign("llm_pue", "inf")
    settings.assign("llm_pue", 2.4)
    doubled = EnergyMeter(LLAMA, settings).answered(Usage(10, 10), None)
    usual = EnergyMeter(LLAMA, Settings()).answered(Usage(10, 10), None)
    assert doubled is not None
    assert usual is not None
    assert doubled.mid == pytest.approx(2 * usual.mid)
