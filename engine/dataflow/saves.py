"""Writes to the store for many askers at once: what gathers while one is under way shares the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..store import Store
from ..store.files import held_elsewhere
from ..store.tariffs import Recorded

MOST_SAVES = 512
PATIENCE = 0.01
"""Of the time that a call took: so long its answer waits for others, whose writing then costs next to nothing."""
MOST_PATIENCE_S = 0.002
Deliver = Callable[["list[Saving]", BaseException | None], None]


class Saving:
    """A record and its answer on their way into the store, which one asker waits for.

    Attributes
    ----------
    after : called when it is done, before the asker goes on.
    """

    __slots__ = ("_waiter", "after", "answer", "done", "error", "record")

    def __init__(self, record: Recorded, answer: bytes | None) -> None:
        self.record, self.answer = record, answer
        self.done = False
        self.error: BaseException | None = None
        self.after: Callable[[], object] | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def ended(self) -> None:
        """Wait until it is durable, or could not be made so."""
        while not self.done:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def durable(self) -> None:
        """Wait until it is durable, even when cancelled: who asks again right after a cancellation shall find it.

        Raises
        ------
        OperationalError : it could not be written.
        """
        try:
            await self.ended()
        except asyncio.CancelledError:
            await self.ended()
            raise
        if self.error is not None:
            raise self.error

    def end(self, error: BaseException | None) -> None:
        """The store has it, or refused it."""
        self.done, self.error = True, error
        if self.after is not None:
            self.after()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Saves:
    """Micro-batched writes to one store. Used on the event loop only.

    A future and a wake-up of the loop per answer would cost more than the writing.

    Parameters
    ----------
    store : where records and answers go. ttl_s : a stored answer that is older gives way to a new one.
    """

    def __init__(self, store: Store, ttl_s: float | None = None) -> None:
        self._store, self._ttl_s = store, ttl_s
        self._waiting: list[Saving] = []
        self._due: list[Callable[[], object]] = []
        self._busy = False

    def before(self, work: Callable[[], object]) -> None:
        """Have something done once, before what was saved now is durable: what is worked out for many calls together."""
        self._due.append(work)

    def save(self, record: Recorded, answer: bytes | None, took_s: float = 0.0) -> Saving:
        """Keep a call's record, and its answer if there is one to keep.

        Parameters
        ----------
        took_s : seconds that the call took; see :data:`PATIENCE`.
        """
        saving = Saving(record, answer)
        self._waiting.append(saving)
        if not self._busy:
            self._busy = True
            # Even no time at all is a turn of the loop, in which all tasks that are ready add theirs.
            asyncio.get_running_loop().call_later(min(took_s * PATIENCE, MOST_PATIENCE_S), self._flush)
        return saving

    def _flush(self) -> None:
        batch, self._waiting = self._waiting[:MOST_SAVES], self._waiting[MOST_SAVES:]
        due, self._due = self._due, []
        try:
            for work in due:
                work()
        except Exception as error:  # a fault of ours: who waits shall hear of it, not wait for ever
            asyncio.get_running_loop().call_soon(self._deliver, batch, error)
            return
        self._write(batch, self._deliver)

    def _write(self, batch: list[Saving], deliver: Deliver) -> None:
        loop = asyncio.get_running_loop()
        try:
            writing = self._store.save_all([(saving.record, saving.answer) for saving in batch], self._ttl_s)
        except Exception as error:  # the store is closed
            loop.call_soon(deliver, batch, error)
            return
        writing.add_done_callback(lambda written: loop.call_soon_threadsafe(deliver, batch, written.exception()))

    def _deliver(self, batch: list[Saving], error: BaseException | None) -> None:
        if error is not None and len(batch) > 1 and not held_elsewhere(error.__cause__ or error):
            # One of them may be to blame, and the others are paid for.
            for saving in batch:
                self._write([saving], _end)
        else:
            _end(batch, error)
        if self._waiting:
            self._flush()
        else:
            self._busy = False


def _end(batch: list[Saving], error: BaseException | None) -> None:
    for saving in batch:
        saving.end(error)
