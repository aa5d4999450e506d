"""No more calls in flight than an endpoint takes: a call enters by a gate, behind which the process's dispatcher decides."""

from __future__ import annotations

from ....engine.errors import RateLimited
from ..base import Embed, Generate, Model, Reply, Request
from .attempt_timeout import attempt
from .gate import Gate
from .wrapper import Wrapper


class Limited(Wrapper):
    """A model that is called within limits.

    Parameters
    ----------
    model : what to call. gate : lets calls in, and hears how they ended.
    """

    def __init__(self, model: Model, gate: Gate) -> None:
        super().__init__(model)
        self._gate = gate

    @property
    def in_flight(self) -> int:
        """Calls that hold a slot now."""
        return self._gate.in_flight

    @property
    def limit(self) -> int:
        """Calls that are let in at once now."""
        return self._gate.limit

    async def call(self, request: Request) -> Reply:
        """Wait for a slot and for the rates, then call."""
        turn = await self._gate.enter(estimate_tokens(request) if self._gate.counts_tokens else 0)
        try:
            reply = await attempt(self._model, request)
            used = reply.usage
            known = used.tokens_in is not None
            turn.answered((used.tokens_in or 0) + (used.tokens_out or 0) if known else estimate_tokens(request))
            return reply
        except RateLimited as error:
            turn.refused(error.retry_after_s)
            raise
        finally:
            turn.leave()


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
