"""No more calls in flight than an endpoint takes: a call enters by a gate, behind which the process's dispatcher decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

from ....engine.errors import Interrupted, ModelError, ModelUnavailable, RateLimited
from ..base import Capabilities, Embed, Generate, Model, Reply, Request
from ..sending import admitted, over
from ..unavailable import all_failed, causes_of
from .attempt_timeout import attempt
from .gate import Gate, Turn
from .hedge import Hedge
from .wrapper import Wrapper


class Limited(Wrapper):
    """A model that is called within limits, at one endpoint or at several that answer alike.

    A call whose endpoint fails goes on to the next, without waiting, before it counts as failed.

    Parameters
    ----------
    model : what to call; its name is that of all in the store. gate : lets calls in, and hears how they ended.
    others : the same model at the gate's other endpoints. hedge : asks twice what takes too long; ``None``: nobody does.
    """

    def __init__(self, model: Model, gate: Gate, *others: Model, hedge: Hedge | None = None) -> None:
        super().__init__(model)
        self._gate, self._models, self._hedge = gate, (model, *others), hedge
        self._closed = False

    @cached_property
    def _all(self) -> Capabilities:
        each = [model.capabilities for model in self._models]
        together = sum(capabilities.concurrency for capabilities in each)
        return replace(each[0], local=all(capabilities.local for capabilities in each), concurrency=together)

    @property
    def capabilities(self) -> Capabilities:
        """The wrapped model's; of several, what they can do together."""
        return self._all if len(self._models) > 1 else self._model.capabilities

    @property
    def gated(self) -> bool:
        """Whether calls wait for their turn, and say when it comes (``sending.admitted``)."""
        return True

    @property
    def in_flight(self) -> int:
        """Calls that hold a slot now."""
        return self._gate.in_flight

    @property
    def limit(self) -> int:
        """Calls that are let in at once now."""
        return self._gate.limit

    @property
    def barred(self) -> bool:
        """Whether calls failed again and again, and but one now and then is let in."""
        return self._gate.barred

    async def call(self, request: Request) -> Reply:
        """Wait for a slot and for the rates, then call."""
        tokens = estimate_tokens(request) if self._gate.counts_tokens else 0
        turn = await self._gate.enter(tokens)
        if self._hedge is None and len(self._models) == 1:
            return await self._attempt(request, turn)
        tried, failures = [turn], dict[int, ModelError]()
        while True:
            try:
                return await self._raced(request, turn, tokens)
            except ModelUnavailable as error:
                failures[turn.endpoint] = error
            if len(tried) == len(self._models):
                raise all_failed([failures[endpoint] for endpoint in sorted(failures)])
            turn = await self._next(tokens, tried, failures)
            tried.append(turn)

    async def close(self) -> None:
        """Close all that are wrapped. A call that gets its turn later, before it hears that nobody wants it, is not made."""
        self._closed = True
        for model in self._models:
            await model.close()

    async def _next(self, tokens: int, tried: Sequence[Turn], failures: Mapping[int, ModelError]) -> Turn:
        """A turn at an endpoint that has not failed this call. Where nobody may ask the others, all have failed it."""
        try:
            return await self._gate.enter(tokens, tried)
        except ModelUnavailable as error:
            others = [endpoint for endpoint in range(len(self._models)) if endpoint not in failures]
            known = {**failures, **dict(zip(others, causes_of(error), strict=False))}
            raise all_failed([known[endpoint] for endpoint in sorted(known)]) from None

    async def _raced(self, request: Request, turn: Turn, tokens: int) -> Reply:
        if self._hedge is None:
            return await self._attempt(request, turn)
        enter = partial(self._gate.enter, tokens, [turn], spare=True)
        return await self._hedge.race(turn, enter, partial(self._attempt, request))

    async def _attempt(self, request: Request, turn: Turn) -> Reply:
        try:
            if self._closed:
                raise Interrupted("The model was closed, and with it the connection that asked.")
            admitted()
            reply = await attempt(self._models[turn.endpoint], request)
            used = reply.usage
            known = used.tokens_in is not None
            turn.answered((used.tokens_in or 0) + (used.tokens_out or 0) if known else estimate_tokens(request))
        except RateLimited as error:
            turn.refused(error.retry_after_s)
            turn.leave()
            raise
        except ModelError as error:
            turn.failed(error)
            turn.leave()
            raise
        except BaseException:
            turn.leave()
            raise
        over(turn.leave)
        return reply


def estimate_tokens(request: Request) -> int:
    """Tokens a request may use, before the server has counted: four characters a token, and its output cap.

    >>> estimate_tokens(Embed("a" * 40))
    10
    """
    match request:
        case Generate():
            return (len(request.system) + len(request.user)) // 4 + request.max_tokens
        case Embed():
            return max(1, len(request.text) // 4)
