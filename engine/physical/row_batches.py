"""Rows that gather until enough are there for one prompt, or until no more will come.

There is no clock in it. A prompt leaves when it is full. One that is not leaves when every row under way waits for an
answer and no other row can come before one is there: the input has ended, or it waits for answers itself (the window is
full, a LIMIT wants no more rows yet) and none is being made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

from ...udfs.models.base import Generate, Reply, Request
from ...udfs.prompts.batched import batchable, row_key, shared
from ...udfs.spec import Ask
from ..dataflow import lookups
from ..dataflow.replies import decode
from ..dataflow.run import QueryRun
from ..errors import InvalidAnswer
from .batch_size import row_tokens, shared_tokens
from .row_fates import Batching, Fates, Item

T = TypeVar("T")

Input = Literal["open", "stalled", "ended"]
"""Whether more rows may come: at any time, only after an answer, or never."""


@dataclass(slots=True)
class _Group:
    """Items that may share a prompt, and the tokens it would take."""

    tokens: float
    items: list[Item] = field(default_factory=list)


class RowBatcher:
    """Gathers what the rows of one operator ask. Used on the event loop only.

    Parameters
    ----------
    batching : how rows share prompts here. run : the query. input : what is known of rows to come.
    """

    def __init__(self, batching: Batching, run: QueryRun, input: Callable[[], Input]) -> None:  # noqa: A002
        self._batching, self._run, self._input = batching, run, input
        self._fates = Fates(batching, run)
        self._progress = batching.caller.progress
        self._items: dict[bytes, Item] = {}
        self._groups: dict[Generate, _Group] = {}
        self._sent: set[asyncio.Task[None]] = set()
        self._busy = 0  # rows that do not wait here
        self._settling = False

    def row(self, work: Callable[[Ask], Awaitable[T]]) -> Coroutine[Any, Any, T]:
        """A row's work, to be a task of its own, given the way to ask. The row is under way from now on, not only once the
        task begins."""
        self.enter()
        return self._row(work)

    def enter(self) -> None:
        """A row has something to do, and may ask."""
        self._busy += 1

    def leave(self) -> None:
        """A row waits for answers, or is done."""
        self._busy -= 1
        self.settle()

    def settle(self) -> None:
        """Something changed: see whether what has gathered has to leave. In the next turn of the loop, because tasks that
        are ready now may have more to ask."""
        if not self._settling:
            self._settling = True
            asyncio.get_running_loop().call_soon(self._check)

    async def close(self) -> None:
        """Cancel what is under way and wait for its end."""
        for task in self._sent:
            task.cancel()
        await asyncio.gather(*self._sent, return_exceptions=True)

    async def _row(self, work: Callable[[Ask], Awaitable[T]]) -> T:
        task = asyncio.current_task()
        assert task is not None
        # Not at the end of this coroutine: whoever started the task has to know first that the row is done.
        task.add_done_callback(lambda _: self.leave())
        return await work(_RowAsk(self))

    def _check(self) -> None:
        self._settling = False
        known = self._input()
        if self._busy or known == "open" or (known == "stalled" and self._sent):
            return
        for group in list(self._groups):
            self._send(group)

    async def ask(self, request: Request, parse: Callable[[Reply], T], gathers: Callable[[Item], None]) -> T:
        """One validated answer; see ``Caller.ask``. ``gathers`` is told when the question has to wait for others."""
        if not isinstance(request, Generate) or not batchable(request):
            return await self._batching.alone.ask(request, parse)
        key = row_key(self._batching.identity, request, self._batching.size.option)
        item = self._items.get(key)
        if item is not None:
            self._progress.shared += 1
            gathers(item)
            try:
                return parse(await asyncio.shield(item.landed))
            except InvalidAnswer:  # good for its asker, whose ``parse`` is another
                return await self._batching.alone.ask(request, parse)
        item = self._items[key] = Item(key, request, parse, row_tokens(request))
        try:
            if self._joins(item):
                gathers(item)
            elif (stored := await self._stored(item)) is not None:
                self._progress.asked += 1
                self._batching.alone.found(stored)
                item.land(stored)
            else:
                gathers(item)
                self._gather(item)
            return parse(await asyncio.shield(item.landed))
        finally:
            del self._items[key]

    async def _stored(self, item: Item) -> Reply | None:
        if not self._batching.cache:
            kept = self._run.unstored.get(item.key)
            return None if kept is None else decode(kept)
        kept = await self._run.lookups.find(item.key)
        if kept is None:
            return None
        reply = decode(kept)
        if item.accepts(reply):
            return reply
        # Written for another ``parse``. The first answer under a key stays, so it has to go.
        await lookups.in_thread(partial(self._run.store.forget, keys=[item.key]))
        return None

    def _gather(self, item: Item) -> None:
        name, size = shared(item.request), self._batching.size
        group = self._groups.get(name)
        if group is not None and not size.fits(group.tokens + item.tokens):
            self._send(name)
            group = None
        if group is None:
            group = self._groups[name] = _Group(shared_tokens(item.request))
        group.items.append(item)
        group.tokens += item.tokens
        if len(group.items) >= size.most:
            self._send(name)

    def _send(self, name: Generate) -> None:
        items = [item for item in self._groups.pop(name).items if not self._joins(item)]
        if items:
            _flying.update((self._place(item), item) for item in items)
            self._start(self._fates.of(items), items)

    def _start(self, work: Coroutine[Any, Any, None], items: list[Item]) -> None:
        task = asyncio.create_task(work)
        self._sent.add(task)
        task.add_done_callback(partial(self._ended, items))

    def _ended(self, items: list[Item], task: asyncio.Task[None]) -> None:
        self._sent.discard(task)
        for item in items:
            if task.cancelled():
                item.fail(asyncio.CancelledError())
            if _flying.get(self._place(item)) is item:
                del _flying[self._place(item)]
        self.settle()

    def _joins(self, item: Item) -> bool:
        """Whether another operator's prompt is to answer this, too."""
        other = _flying.get(self._place(item))
        if other is None or other.landed.get_loop() is not asyncio.get_running_loop():
            return False
        self._progress.shared += 1
        self._start(self._join(item, other), [item])
        return True

    async def _join(self, item: Item, other: Item) -> None:
        landed = other.landed
        await asyncio.wait({landed})
        if not landed.cancelled() and landed.exception() is None and item.accepts(landed.result()):
            item.land(landed.result())
        else:  # another query's failure (its budget, its end) is not ours
            await self._fates.of([item])

    def _place(self, item: Item) -> Hashable:
        if not self._batching.cache:
            return (self._run.query_id, item.key)
        return (self._run.store.path or self._run.store, item.key)


_flying: dict[Hashable, Item] = {}
"""Questions that stand in a prompt under way, process-wide. Only these are waited for by other operators: one that still
gathers may be waiting for them."""


class _RowAsk:
    """The ``Ask`` of one row, which may ask several things at once: it waits when all of them have gathered."""

    __slots__ = ("_asking", "_batcher", "_gathered", "_waits")

    def __init__(self, batcher: RowBatcher) -> None:
        self._batcher = batcher
        self._asking = self._gathered = 0
        self._waits = False

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        self._change(asking=1)
        try:
            return await self._batcher.ask(request, parse, self.gathers)
        finally:
            self._change(asking=-1)

    def gathers(self, item: Item) -> None:
        """What was asked waits for its prompt, or for the answer to it."""
        item.listeners.append(self._landed)
        self._change(gathered=1)

    def _landed(self) -> None:
        # At once, and not when the row runs on: until then it would pass for one that waits.
        self._change(gathered=-1)

    def _change(self, asking: int = 0, gathered: int = 0) -> None:
        self._asking += asking
        self._gathered += gathered
        waits = 0 < self._asking <= self._gathered
        if waits != self._waits:
            self._waits = waits
            (self._batcher.leave if waits else self._batcher.enter)()
