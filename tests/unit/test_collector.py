"""The cyclic garbage collector is patient while calls are in flight, and only then."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from anserdb.engine.dataflow.collector import PATIENCE, Patience
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import ModelError
from anserdb.udfs.models.base import Request
from anserdb.udfs.models.scripted import Fault, ScriptedModel
from anserdb.udfs.models.wrap.gate import Limits
from anserdb.udfs.models.wrap.limited import Limited
from tests.support.clock import VirtualClock
from tests.support.endpoints import questions


@pytest.fixture(autouse=True)
def usual() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    gc.set_threshold(701, 11, 12)
    yield gc.get_threshold()
    gc.set_threshold(*before)


async def test_for_as_long_as_a_call_is_in_flight_or_waits_however_it_ends(usual: tuple[int, int, int]) -> None:
    clock, seen = VirtualClock(), list[int]()

    async def delay(_: Request) -> None:
        seen.append(gc.get_threshold()[0])
        await clock.sleep(1.0)

    model = ScriptedModel(delay=delay, faults=[Fault("row 3$", ModelError("no"))])
    limited = Limited(model, Gates(clock).open(Limits("e", "m", 2)))

    async def work() -> None:
        tasks = [asyncio.create_task(limited.call(request)) for request in questions(20)]
        await clock.sleep(2.5)
        for task in (*tasks[4:6], *tasks[15:]):  # some that are in, some that wait
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    await clock.run(work())
    assert set(seen) == {PATIENCE}
    assert gc.get_threshold() == usual


def test_what_the_program_sets_meanwhile_stays() -> None:
    patience = Patience()
    patience.begin()
    gc.set_threshold(5000)
    patience.end()
    assert gc.get_threshold()[0] == 5000


@pytest.mark.parametrize("own", [0, PATIENCE + 1])
def test_a_collector_that_is_off_or_more_patient_is_left_as_it_is(own: int) -> None:
    gc.set_threshold(own)
    patience = Patience()
    patience.begin()
    assert gc.get_threshold()[0] == own
    patience.end()
    assert gc.get_threshold()[0] == own


def test_a_process_that_was_forked_in_the_middle_begins_anew(usual: tuple[int, int, int]) -> None:
    patience = Patience()
    patience.begin()
    patience.begin()
    patience.reset()
    assert gc.get_threshold() == usual
    patience.begin()
    assert gc.get_threshold()[0] == PATIENCE
    patience.end()
    assert gc.get_threshold() == usual
