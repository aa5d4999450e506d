"""Where a call waits for its turn. The engine's dispatcher is behind it; models know no more of it than this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ....engine.errors import ModelError

LONGEST_PAUSE_S = 120.0
"""A server that asks for more silence than this is not worth holding a query for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model's calls have to keep to.

    Parameters
    ----------
    endpoint : where they go; all models of an endpoint share its slots and its Retry-After.
    model : what is asked there; all calls of one model at one endpoint share its rates.
    cap : most calls in flight at an endpoint. rpm, tpm : requests and tokens per minute there; ``None``: no such limit.
    name : the catalogue's. Where a name is opened again, its newest limits hold; of several names, the lowest.
    others : more endpoints where the same model answers; calls go where they are expected to end first.
    total : most calls in flight at all of them together; ``None``: the sum of what each takes.
    """

    endpoint: str
    model: str
    cap: int
    rpm: float | None = None
    tpm: float | None = None
    name: str = ""
    others: tuple[str, ...] = ()
    total: int | None = None

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All of them."""
        return (self.endpoint, *self.others)


class Turn(Protocol):
    """A call that was let in, until it leaves."""

    @property
    def endpoint(self) -> int:
        """Where it goes: a number in the order of ``Limits.endpoints``."""
        ...

    @property
    def slow_s(self) -> float | None:
        """Seconds that 95 of 100 calls do not take there; ``None``: that is not known yet."""
        ...

    def answered(self, tokens: int) -> None:
        """There is an answer; ``tokens`` as the server counted them, or an estimate."""
        ...

    def refused(self, retry_after_s: float | None) -> None:
        """The endpoint wants fewer calls, and none for some seconds, if it said so."""
        ...

    def failed(self, error: ModelError) -> None:
        """There is no answer, for another reason."""
        ...

    def leave(self) -> None:
        """The call is over, however it ended, and its answer, if there is one, is kept."""
        ...


class Gate(Protocol):
    """The way to an endpoint, for one opened model."""

    @property
    def limit(self) -> int:
        """Calls that it lets in at once now."""
        ...

    @property
    def in_flight(self) -> int:
        """Calls of this model that are in."""
        ...

    @property
    def barred(self) -> bool:
        """Whether calls failed again and again, and but one now and then is let in."""
        ...

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters how many tokens a call may use."""
        ...

    async def enter(self, tokens: int, tried: Sequence[Turn] = (), *, spare: bool = False) -> Turn:
        """Wait for a turn. Cancelling gives up the place in the queue.

        Parameters
        ----------
        tokens : the most that the call may use, or 0 where that does not matter.
        tried : turns of the same call, which need not meet the same endpoint again, if there is another.
        spare : let everybody else go first.

        Raises
        ------
        ModelError : as of the calls before, which failed again and again; nobody is asked for a moment.
        """
        ...


Gates = Callable[[Limits], Gate]
"""Opens the gate of a model."""
