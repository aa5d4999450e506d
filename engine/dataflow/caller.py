"""How a task reaches a model: every question once, from the cheapest place that knows, and paid answers never lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from functools import cached_property, partial
from typing import TypeVar

from ...udfs.models.base import Generate, Model, ModelSpec, Reply, Request, request_key
from ...udfs.models.registry import addresses
from ...udfs.models.tries import set_tries, tries_of
from ...udfs.models.wrap.attempt_timeout import attempts_within
from ...udfs.models.wrap.wrapper import Wrapper
from ..errors import InvalidAnswer, ModelError
from ..store.records import Outcome, Phase
from . import flights, lookups
from .gates import ORIGIN, ROOT, Origin
from .metering import Meter
from .replies import decode, encode, kept_form
from .run import QueryRun

T = TypeVar("T")
Parse = Callable[[Reply], T]

RE_ASKS = 2
"""How often a question is asked again after an answer outside its type."""


class Caller:
    """The ``Ask`` of one call site in one query. Used on the event loop only.

    A question is looked for in flight (of any query of this process), then in the store; only then it is paid for, within
    the query's budget, and its answer is durable before it is returned.

    Parameters
    ----------
    run : the query. model, spec : who answers, and its catalogue entry (name and price).
    site, function : the call site's label and SQL function, for records. arm : which arm of the site it is ("": its reference).
    cache : reuse and keep answers across queries; without it equal questions are still one call within the query.
    timeout : most seconds that one attempt may take; ``None``: the model's own limit alone.
    """

    def __init__(
        self,
        run: QueryRun,
        model: Model,
        spec: ModelSpec,
        *,
        site: str,
        function: str,
        cache: bool = True,
        timeout: float | None = None,
        arm: str = "",
    ) -> None:
        self.run = run
        self.spec = spec
        self.progress = run.site(site, function, spec.name, arm)
        self._site = site
        self._model = model
        self._cache = cache
        self._timeout = timeout
        self._meter = Meter(run, spec, self.progress)

    @property
    def concurrency(self) -> int:
        """Calls worth having in flight: the user's or the model's own cap, else what the backend says of itself."""
        own = self.spec.options.get("concurrency")
        together = None if own is None else own * max(1, len(addresses(self.spec)))  # it is of each server
        caps = [int(cap) for cap in (together, self.run.settings.llm_concurrency) if cap is not None]
        return min(caps) if caps else self._model.capabilities.concurrency

    @property
    def lanes(self) -> int | None:
        """Calls that its endpoints take at once now; ``None``: nobody counts."""
        return self._model.limit if isinstance(self._model, Wrapper) else None

    @property
    def barred(self) -> bool:
        """Whether all its endpoints have failed again and again, so that but one call now and then is let in."""
        return isinstance(self._model, Wrapper) and self._model.barred

    def calibrating(self) -> Calibrating:
        """This caller for ``Task.prepare``: the same, but its calls are recorded as calibration."""
        return Calibrating(self)

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """One validated answer; see :meth:`ask`."""
        return await self.ask(request, parse)

    async def ask(self, request: Request, parse: Callable[[Reply], T], phase: Phase = "serve") -> T:
        """One validated answer.

        Parameters
        ----------
        parse : turns a reply into the value, or raises ``InvalidAnswer``.
        phase : what the calls are recorded as.

        Raises
        ------
        ModelError : the model failed (``InvalidAnswer``: also when asked again). BudgetExceeded : a cap was reached.
        """
        key = request_key(self._model.identity, request)
        place = self._place(key)
        while (flight := await flights.find(place)) is not None:
            try:
                reply, _ = await flight.join()
            except Exception:
                # Another query's failure (its budget, its settings) is not ours: try for ourselves.
                if flight.owner is self.run:
                    raise
                continue
            try:
                value = parse(reply)
            except InvalidAnswer:  # good for its asker, whose ``parse`` is another
                break
            self.progress.shared += 1
            return value
        self.progress.asked += 1
        _, answer = await flights.Flight(place, self.run, self._answer(key, request, parse, phase)).join()
        return answer

    async def has(self, request: Request) -> bool:
        """Whether the answer is in the store, so that asking costs nothing."""
        return await self._stored(request_key(self._model.identity, request)) is not None

    def found(self, reply: Reply, answer: bytes = b"") -> None:
        """Count an answer that the store had, as it was kept."""
        self.progress.cached += 1
        self._meter.reused(reply.usage, answer)

    @cached_property
    def _origin(self) -> Origin:
        return self.run.origin(self._site)

    def _origin_of(self, root: int) -> Origin:
        """Of equals, who is for an older row goes first."""
        origin = self._origin
        return dataclasses.replace(origin, rank=(*origin.rank[:-1], root)) if root else origin

    def _place(self, key: bytes) -> Hashable:
        if not self._cache:
            return (self.run.query_id, key)
        return (self.run.store.path or self.run.store, key)

    async def _answer(self, key: bytes, request: Request, parse: Parse[T], phase: Phase) -> tuple[Reply, T]:
        ORIGIN.set(self._origin_of(ROOT.get()))  # for the rest of the question, which is a task of its own
        stored = await self._stored(key)
        if stored is not None:
            try:
                reply = decode(stored)
                value = parse(reply)
            except InvalidAnswer:
                # Written for another ``parse``. The first answer under a key stays, so it has to go.
                await self._forget(key)
            else:
                self.found(reply, stored)
                return reply, value
        return await self._pay(key, request, parse, phase)

    async def _stored(self, key: bytes) -> bytes | None:
        if not self._cache:
            return self.run.unstored.get(key)
        return await self.run.lookups.find(key)

    async def _forget(self, key: bytes) -> None:
        if self._cache:
            await lookups.in_thread(partial(self.run.store.forget, keys=[key]))

    async def _pay(self, key: bytes, request: Request, parse: Parse[T], phase: Phase) -> tuple[Reply, T]:
        again = RE_ASKS if isinstance(request, Generate) else 0  # an embedding would only come back the same
        attempt = tries = 0
        while True:
            try:
                return await self._attempt(key, _again(request, attempt), parse, "reask" if attempt else phase)
            except ModelError as error:
                attempt += 1
                tries += tries_of(error)
                if not isinstance(error, InvalidAnswer) or attempt > again:
                    set_tries(error, tries)
                    raise

    async def _attempt(self, key: bytes, request: Request, parse: Parse[T], phase: Phase) -> tuple[Reply, T]:
        with attempts_within(self._timeout):
            reply = kept_form(await self._meter.send(self._model, request, key, phase))
        try:
            value = parse(reply)
        except Exception as error:
            set_tries(error, 1 + reply.retries)
            outcome: Outcome = "invalid" if isinstance(error, InvalidAnswer) else "error"
            await self._meter.record(key, phase, reply, outcome, None, str(error)).durable()
            raise
        answer = encode(reply)
        if not self._cache:
            self.run.unstored.put(key, answer, len(answer) + len(key))
        await self._meter.record(key, phase, reply, "ok", answer if self._cache else None).durable()
        return reply, value


class Calibrating:
    """The ``Ask`` of ``Task.prepare``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """One validated answer, its calls recorded as calibration."""
        return await self._caller.ask(request, parse, "calibrate")


def _again(request: Request, attempt: int) -> Request:
    if not attempt or not isinstance(request, Generate):
        return request
    return dataclasses.replace(request, attempt=request.attempt + attempt)
