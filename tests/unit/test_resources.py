"""Devices, their capacity, and what finished calls teach about them."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import fmean

import pytest

from anserdb.engine.dataflow.calibration import Calibration
from anserdb.engine.dataflow.clock import SimulatedClock
from anserdb.engine.dataflow.devices import LiveDevice, Place
from anserdb.engine.dataflow.dispatcher import Dispatcher, Job, Lane, rank
from anserdb.engine.dataflow.resources import Device, Link, ResourceModel, Served, Service
from anserdb.engine.errors import ModelError, ProgrammingError


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Device("a", "cpu", 0), "Device a has 0 slots"),
        (lambda: ResourceModel((Device("a", "cpu", 1), Device("a", "gpu", 1))), "Two devices are called a"),
        (lambda: ResourceModel((Device("a", "cpu", 1),), (Link("a", "b", 0.1, 1e9),)), "a → b: there is no device b"),
        (lambda: Link("a", "b", 0.1, 0), "a → b has a latency or bandwidth"),
    ],
)  # fmt: skip
def test_what_is_no_device_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ProgrammingError, match=words):
        make()


def test_a_link_is_a_device_that_carries_bytes() -> None:
    link = Link("a", "b", latency=0.5, bandwidth=100.0, channels=2)
    assert link.device().slots == 2
    assert link.device().served("bytes").service.seconds(200) == pytest.approx(2.5)


def test_draws_have_the_expected_time_as_their_mean() -> None:
    service, source = Service(0.2, 0.001, jitter=0.4), random.Random(1)
    draws = [service.sampled(300, source) for _ in range(20_000)]
    assert fmean(draws) == pytest.approx(0.5, rel=0.02)
    assert min(draws) > 0


# --- calibration ----------------------------------------------------------------------------------------------------


def test_a_noisy_line_is_found_with_its_noise() -> None:
    truth, source = Service(0.3, 0.002, jitter=0.2), random.Random(2)
    units = [source.randint(20, 400) for _ in range(4000)]
    found = Calibration.of((n, truth.sampled(n, source)) for n in units).service()
    assert found.seconds(200) == pytest.approx(0.7, rel=0.05)
    assert found.beta == pytest.approx(0.002, rel=0.3)
    assert found.jitter == pytest.approx(0.2, rel=0.4)


def test_what_a_device_was_is_forgotten() -> None:
    times = Calibration()
    for size in range(1000):
        times.observe(size % 50, 5.0)
    for size in range(2000):
        times.observe(size % 50, 0.1 + 0.01 * (size % 50))
    assert times.service().seconds(30) == pytest.approx(0.4, rel=0.02)


@pytest.mark.parametrize(
    ("calls", "units", "seconds"),
    [
        ([], 100, 0.0),
        ([(50, 0.4)], 100, 0.4),  # one size says nothing of others
        ([(50, 0.4)] * 9, 100, 0.4),
        ([(10, 0.9), (20, 0.7), (30, 0.5)], 20, 0.7),  # no call is faster for being larger: the mean
        ([(10, 0.0), (20, 0.2), (30, 0.4)], 0, 0.0),  # no call takes less than no time
    ],
)
def test_calibration_of_little(calls: list[tuple[float, float]], units: float, seconds: float) -> None:
    service = Calibration.of(calls).service()
    assert service.seconds(units) == pytest.approx(seconds, abs=0.005)
    assert service.alpha >= 0
    assert service.beta >= 0


# --- a device in use ------------------------------------------------------------------------------------------------


def test_the_largest_open_cap_is_the_devices_and_the_lowest_rate_holds() -> None:
    device = LiveDevice(Device("api", "endpoint", 4))
    small = device.open(Served("m", rpm=120), 4, "a")
    large = device.open(Served("m", rpm=60), 16, "b")
    assert device.slots.limit == 16
    assert small.resources[1] is large.resources[1]
    assert small.resources[1].delay(job(small), 0.0) == 0.0
    small.resources[1].take(job(small), 0.0)
    assert large.resources[1].delay(job(large), 0.0) == pytest.approx(1.0)  # a request a second, whoever asks
    del large
    late = device.open(Served("n"), 8)
    assert device.slots.limit == 8  # the largest that is still open
    assert len(late.resources) == 1  # another model's rate is not its


def test_a_rate_declared_late_holds_for_those_who_came_before() -> None:
    device = LiveDevice(Device("api", "endpoint", 4))
    early = device.open(Served("m"), 4, "a")
    assert len(early.resources) == 1
    late = device.open(Served("m", tpm=600), 4, "b")
    assert early.resources[1] is late.resources[1]
    assert early.counts_tokens


def test_limits_that_an_opener_changes_replace_those_it_had() -> None:
    """ALTER MODEL: who opened the model before may still be there."""
    device = LiveDevice(Device("api", "endpoint", 4))
    before, other = device.open(Served("m", rpm=30), 4, "a"), device.open(Served("m", rpm=600), 4, "b")
    assert wait(before) == pytest.approx(2.0, rel=0.01)
    after = device.open(Served("m", rpm=60), 4, "a")
    assert wait(after) == pytest.approx(2.0, abs=0.1)  # a second for what was taken before, and one for this
    assert before.resources[1] is after.resources[1] is other.resources[1]
    del other
    device.open(Served("m"), 4, "a")
    assert len(before.resources) == len(after.resources) == 1


def wait(place: Place) -> float:
    """Take one, and say when there is another."""
    rate, need = place.resources[1], job(place)
    rate.take(need, 0.0)
    return rate.delay(need, 0.0)


def test_a_cap_that_refusals_have_lowered_does_not_rise_because_somebody_opens_the_device() -> None:
    device = LiveDevice(Device("api", "endpoint", 8))
    held = device.open(Served("m"), 8)
    device.slots.refused(0)
    more = device.open(Served("m"), 32)
    assert device.slots.limit == 4
    assert held.slots is not more.slots


def test_a_snapshot_knows_what_calls_have_taught() -> None:
    device = LiveDevice(Device("api", "endpoint", 8, (Served("m", Service(9.0), rpm=60),)))
    for units in (10, 20, 30):
        device.calibration("m").observe(units, 0.1 * units)
        device.calibration("n").observe(units, 1.0)
    served = device.snapshot().serves
    assert [(s.kind, s.rpm, round(s.service.seconds(40), 6)) for s in served] == [("m", 60, 4.0), ("n", None, 1.0)]


def test_the_faster_device_is_taken_and_the_other_when_it_is_full() -> None:
    slow, fast = (
        LiveDevice(Device(name, "endpoint", 1, (Served("m", Service(s)),))) for name, s in [("slow", 2), ("fast", 1)]
    )
    lane, dispatcher = Lane(slow.place("m"), fast.place("m")), Dispatcher(SimulatedClock())
    jobs = [Started(lane, rank()) for _ in range(3)]
    dispatcher.submit(*jobs)
    assert [j.place and j.place.device.name for j in jobs] == ["fast", "slow", None]


class Started(Job):
    def launched(self) -> None:
        pass

    def barred(self, error: ModelError) -> None:
        raise error


def job(place: Place) -> Job:
    return Started(Lane(place), rank())
