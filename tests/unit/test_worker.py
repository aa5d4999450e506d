"""The thread that runs blocking functions for the event loop."""

from __future__ import annotations

import asyncio

import pytest

from anserdb.engine.dataflow.worker import Worker


async def test_a_function_that_raises_stop_iteration_does_not_leave_its_caller_waiting() -> None:
    worker = Worker("test")

    def stops() -> None:
        next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(worker.run(stops), 5)
    assert await worker.run(lambda: 1) == 1
    worker.stop()
