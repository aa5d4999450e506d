"""Look-ups in the store for many askers at once: what gathers while one is under way shares the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from ..store import Store
from .worker import Worker

T = TypeVar("T")

MOST_KEYS = 512

_worker = Worker("anserdb-lookup")


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Do something with a store, which may block, in the thread of the look-ups."""
    return _worker.run(work)


class Lookups:
    """Micro-batched reads of one store, made in a thread. Used on the event loop only.

    Parameters
    ----------
    store : where answers are. ttl_s : older answers are not found; ``None``: all are.
    """

    def __init__(self, store: Store, ttl_s: float | None = None) -> None:
        self._store, self._ttl_s = store, ttl_s
        self._waiting: list[tuple[bytes, asyncio.Future[bytes | None]]] = []
        self._busy = False

    async def find(self, key: bytes) -> bytes | None:
        """The stored answer, or ``None``."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | None] = loop.create_future()
        self._waiting.append((key, future))
        if not self._busy:
            self._busy = True
            # One turn of the loop lets all tasks that are ready add their keys.
            loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        batch, self._waiting = self._waiting[:MOST_KEYS], self._waiting[MOST_KEYS:]
        keys = [key for key, future in batch if not future.done()]
        if not keys and not self._waiting:
            self._busy = False
            return
        reading = in_thread(partial(self._store.lookup, keys, self._ttl_s))
        reading.add_done_callback(partial(self._deliver, batch))

    def _deliver(
        self, batch: list[tuple[bytes, asyncio.Future[bytes | None]]], reading: asyncio.Future[dict[bytes, bytes]]
    ) -> None:
        error = reading.exception()
        found = {} if error else reading.result()
        for key, future in batch:
            if future.done():
                continue
            if error:
                future.set_exception(error)
            else:
                future.set_result(found.get(key))
        if self._waiting:
            self._flush()
        else:
            self._busy = False
