"""The shared loop: one, lazy, gone cleanly at exit, new after a fork."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from anserdb.engine.dataflow import loop
from anserdb.engine.dataflow.worker import Worker


async def where() -> tuple[int, asyncio.AbstractEventLoop]:
    return threading.get_ident(), asyncio.get_running_loop()


def test_all_callers_share_one_loop_in_a_thread_of_its_own() -> None:
    places = {loop.submit(where()).result() for _ in range(5)}
    assert len(places) == 1
    assert places.pop()[0] != threading.get_ident()


def test_errors_and_cancellation_cross() -> None:
    started = threading.Event()
    ended = threading.Event()

    async def fail() -> None:
        raise KeyError("x")

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(KeyError):
        loop.submit(fail()).result()
    future = loop.submit(wait())
    assert started.wait(10)
    future.cancel()
    assert ended.wait(10)


def test_a_stopped_loop_cancels_its_tasks_and_a_new_one_starts() -> None:
    own = loop.LoopThread()
    ended = threading.Event()
    started = threading.Event()

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    own.submit(wait())
    assert started.wait(10)
    own.stop()
    assert ended.is_set()
    assert own.loop.is_closed()
    assert loop.submit(where()).result()[1] is not own.loop


def test_it_knows_its_own_thread() -> None:
    async def here() -> bool:
        return loop.is_loop_thread()

    assert loop.submit(here()).result()
    assert not loop.is_loop_thread()


EXIT = """
import asyncio
from anserdb.engine.dataflow import loop

async def forever():
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

async def ready():
    await asyncio.sleep(0)

loop.submit(forever())
loop.submit(ready()).result()
"""


def test_the_interpreter_ends_cleanly_while_tasks_wait() -> None:
    ended = subprocess.run([sys.executable, "-X", "dev", "-c", EXIT], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "cleaned up\n", "")


FORK = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from anserdb.engine.dataflow import loop
from anserdb.engine.dataflow.worker import Worker

worker = Worker("w")

async def one():
    return await worker.run(lambda: 1)

async def forever():
    await asyncio.Event().wait()

loop.submit(forever())
assert loop.submit(one()).result() == 1
child = os.fork()
if child == 0:
    assert loop.submit(one()).result(20) == 1
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert loop.submit(one()).result(20) == 1
print("both work")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_loop_of_its_own_and_the_parent_keeps_its() -> None:
    ended = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "both work\n", "")


async def test_a_worker_runs_in_order_off_the_loop_and_hands_errors_over() -> None:
    worker, seen = Worker("test"), list[int]()
    jobs = [worker.run(lambda number=number: seen.append(number)) for number in range(20)]  # type: ignore[misc]
    await asyncio.gather(*jobs)
    assert seen == list(range(20))
    assert await worker.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    worker.stop()


async def test_a_cancelled_job_does_not_stop_the_worker() -> None:
    worker, gate = Worker("test"), threading.Event()
    waiting = worker.run(gate.wait)
    waiting.cancel()
    gate.set()
    assert await worker.run(lambda: 7) == 7
    worker.stop()
