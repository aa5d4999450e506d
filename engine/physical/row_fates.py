"""What becomes of rows that share a prompt: answered, asked again in smaller company, or in the end alone.

A row is never given an answer by its place: an answer is its row's by its id, and good if the row's own ``parse`` says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ...udfs.models.base import Generate, Reply, Request
from ...udfs.models.sending import answered_with
from ...udfs.models.wrap.wrapper import Wrapper
from ...udfs.prompts.batched import read, together
from ..dataflow.caller import Caller
from ..dataflow.replies import encode
from ..dataflow.run import QueryRun
from ..errors import InvalidAnswer, ModelError, ModelUnavailable
from ..store.records import Phase
from .batch_size import BatchSize

MOST_MISSES = 2
"""A row that so many prompts left out, or answered badly, is asked alone."""


class UnusableError(ModelError):
    """No row's answer can be read from a reply. Not an ``InvalidAnswer``: asking for all of them again would be a waste."""


class NeverInvalid(Wrapper):
    """A model whose invalid answers are empty replies: what several rows share is split up, not asked again as it was."""

    async def call(self, request: Request) -> Reply:
        """Call; an answer outside its type comes as an empty one, of which nothing will be understood."""
        started = time.perf_counter()
        try:
            return await self._model.call(request)
        except InvalidAnswer:
            # Not the error's text: that is cut, and the half of an answer may be what the other half takes back.
            return Reply(usage=answered_with(), seconds=time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Batching:
    """How the rows of a call site share prompts.

    Parameters
    ----------
    size : how many do. identity : the model's. cache : keep answers across queries.
    caller : asks for several rows; its model is :class:`NeverInvalid`. alone : asks for one, as without the option.
    """

    size: BatchSize
    identity: str
    cache: bool
    caller: Caller
    alone: Caller


class Item:
    """A row's question among others.

    Parameters
    ----------
    key : of its answer in the store. parse : says whether a reply is one. tokens : that it takes in a prompt.

    Attributes
    ----------
    asked : prompts that it stood in. landed : its reply. listeners : told at once when that is there, or will never be.
    """

    __slots__ = ("asked", "key", "landed", "listeners", "parse", "request", "tokens")

    def __init__(self, key: bytes, request: Generate, parse: Callable[[Reply], Any], tokens: int) -> None:
        self.key, self.request, self.parse, self.tokens = key, request, parse, tokens
        self.asked = 0
        self.landed: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.listeners: list[Callable[[], None]] = []

    def accepts(self, reply: Reply) -> bool:
        """Whether the reply is an answer to this question."""
        try:
            self.parse(reply)
        except Exception:  # whatever it is, alone it becomes the row's failure
            return False
        return True

    def land(self, reply: Reply) -> None:
        """The answer is there, and durable."""
        if not self.landed.done():
            self.landed.set_result(reply)
            self._tell()

    def fail(self, error: BaseException) -> None:
        """There will be none."""
        if self.landed.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.landed.cancel()
        else:
            self.landed.set_exception(error)
            self.landed.exception()  # seen: those who wait may be gone
        self._tell()

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()
        self.listeners.clear()


class Fates:
    """Answers items, in company as long as that works. Used on the event loop only."""

    def __init__(self, batching: Batching, run: QueryRun) -> None:
        self._batching, self._run = batching, run
        self._progress = batching.caller.progress
        self._heard = False

    async def of(self, items: Sequence[Item]) -> None:
        """Land every item, or fail it; a failure is never another part's."""
        try:
            await (self._ask_together(items) if len(items) > 1 else self._ask_alone(items[0]))
        except Exception as error:
            for item in items:
                item.fail(error)

    async def _ask_together(self, items: Sequence[Item]) -> None:
        try:
            left = await self._answered(items)
        except ModelError as error:
            # Where nobody has answered yet, a server that cannot be reached is not about the size of a prompt.
            if error.hopeless or (isinstance(error, ModelUnavailable) and not self._heard):
                raise
            half = (len(items) + 1) // 2
            await _all(self.of(items[:half]), self.of(items[half:]))
            return
        alone = [item for item in left if item.asked >= MOST_MISSES]
        again = [item for item in left if item.asked < MOST_MISSES]
        await _all(*(self.of([item]) for item in alone), *([self.of(again)] if again else []))

    async def _answered(self, items: Sequence[Item]) -> list[Item]:
        """Ask for all in one prompt; the items without a good answer.

        Raises
        ------
        ModelError : none has one (:class:`UnusableError`), or there was no reply.
        """
        batch = together([item.request for item in items])
        answer, model = items[0].request.answer, self._batching.caller.spec.name
        saving: list[Future[None]] = []

        def judged(reply: Reply) -> list[tuple[Item, Reply]]:
            try:
                replies = read(reply, batch.ids, answer, model)
            except InvalidAnswer as error:
                raise UnusableError(str(error), model) from error
            found = zip(items, replies, strict=True)
            good = [(item, row) for item, row in found if row is not None and item.accepts(row)]
            if not good:
                raise UnusableError("The answer for several rows has a good one for none of them.", model)
            # Now, and not after the call is recorded: then whoever finds the record finds the answers too.
            saving.extend(self._keep(good))
            return good

        good = await self._batching.caller.ask(batch.request, judged, self._count(items))
        await _durable(saving)
        self._heard = True
        for item, reply in good:
            item.land(reply)
        return [item for item in items if not item.landed.done()]

    async def _ask_alone(self, item: Item) -> None:
        saving: list[Future[None]] = []

        def judged(reply: Reply) -> Reply:
            item.parse(reply)
            saving.extend(self._keep([(item, reply)]))
            return reply

        reply = await self._batching.alone.ask(item.request, judged, self._count([item]))
        await _durable(saving)
        self._heard = True
        item.land(reply)

    def _count(self, items: Sequence[Item]) -> Phase:
        """Note that they are asked. Questions are counted as rows ask them; the caller, which counts as well, sees prompts."""
        new = sum(not item.asked for item in items)
        self._progress.asked += new - 1
        for item in items:
            item.asked += 1
        return "serve" if new else "reask"

    def _keep(self, good: Sequence[tuple[Item, Reply]]) -> list[Future[None]]:
        answers = [(item.key, encode(reply)) for item, reply in good]
        if not self._batching.cache:
            for key, answer in answers:
                self._run.unstored.put(key, answer, len(key) + len(answer))
            return []
        model, function = self._batching.caller.spec.name, self._progress.function
        return [self._run.store.keep(answers, model, function, self._run.settings.llm_cache_ttl_s)]


async def _durable(saving: Sequence[Future[None]]) -> None:
    for future in saving:
        await asyncio.wrap_future(future)


async def _all(*parts: Coroutine[Any, Any, None]) -> None:
    await asyncio.gather(*parts)
