"""A daemon thread that runs blocking functions one after another for the event loop.

Not asyncio's default executor: that has few threads, shared by all, and a reader that waits for another pipeline in one of
them could starve that very pipeline; and its threads are joined at exit, where a blocked one would hang the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Worker:
    """One thread, started on first use.

    Parameters
    ----------
    name : the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Queue ``function``. Its result comes to the running loop; cancelling the future does not stop the function."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._thread is None or not self._thread.is_alive():
            self._jobs = queue.SimpleQueue()  # after a fork the thread is gone, and what was queued is the parent's
            self._thread = threading.Thread(target=_work, args=(self._jobs,), name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((function, loop, future))
        return future

    def stop(self) -> None:
        """End the thread after the functions already queued."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread = None


def _work(jobs: queue.SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        function, loop, future = job
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            loop.call_soon_threadsafe(_deliver, future, result, error)
        # Drop what this frame holds: a reader in ``function`` would otherwise live until the next job.
        del job, function, future, result, error


def _deliver(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # no future takes it, and who waits would wait for ever
        future.set_exception(RuntimeError("A function raised StopIteration."))
    else:
        future.set_exception(error)
