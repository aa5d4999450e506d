"""The one background event loop of the process, shared by all connections.

One loop, because equal questions of different queries must meet, and because a cap on calls in flight is a cap only if
everybody passes through it. The thread is a daemon: a program that ends does not wait for it, but its tasks are cancelled
and awaited first, so that nothing is "destroyed while pending".
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

EXIT_PATIENCE_S = 5.0
"""Seconds that interpreter exit waits for cancelled tasks; a task that ignores its cancellation must not hang it."""


class LoopThread:
    """An event loop in a daemon thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name="anserdb-loop", daemon=True)
        self._thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the loop; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def is_here(self) -> bool:
        """Whether the calling thread is the loop's own, where blocking on it would never end."""
        return threading.current_thread() is self._thread

    def stop(self, patience_s: float = EXIT_PATIENCE_S) -> None:
        """Cancel what runs, await it, end the thread and close the loop."""
        try:
            self.submit(self._cancel_all()).result(patience_s)
        except concurrent.futures.TimeoutError:
            return  # the daemon thread dies with the process
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(patience_s)
        if not self._thread.is_alive():
            self.loop.close()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.loop.shutdown_asyncgens()


_lock = threading.Lock()
_current: LoopThread | None = None
_inherited: list[LoopThread] = []


def shared_loop() -> LoopThread:
    """The process's loop, started on first use."""
    global _current
    with _lock:
        if _current is None:
            _current = LoopThread()
        return _current


def submit(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Run a coroutine on the shared loop. Do not wait for the result on the loop's own thread.

    >>> async def two() -> int:
    ...     return 2
    >>> submit(two()).result()
    2
    """
    return shared_loop().submit(coroutine)


def is_loop_thread() -> bool:
    """Whether the caller runs on the shared loop's thread."""
    return _current is not None and _current.is_here()


def stop() -> None:
    """End the shared loop; the next :func:`submit` starts a new one."""
    global _current
    with _lock:
        thread, _current = _current, None
    if thread is not None:
        thread.stop()


def _after_fork_in_child() -> None:
    # The child has the loop's memory but not its thread. Closing it would unregister the parent's descriptors from the
    # epoll set that both share, so it is kept, unclosed and silent, for the child's life.
    global _current, _lock
    _lock = threading.Lock()
    if _current is not None:
        _current.loop.set_exception_handler(lambda _loop, _context: None)
        _inherited.append(_current)
        _current = None


atexit.register(stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
