"""Where a call waits for its turn. The engine's dispatcher is behind it; models know no more of it than this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model's calls have to keep to.

    Parameters
    ----------
    endpoint : where they go; all models of an endpoint share its slots and its Retry-After.
    model : what is asked there; all calls of one model at one endpoint share its rates.
    cap : most calls in flight. rpm, tpm : requests and tokens per minute; ``None``: no such limit.
    name : the catalogue's. Where a name is opened again, its newest limits hold; of several names, the lowest.
    """

    endpoint: str
    model: str
    cap: int
    rpm: float | None = None
    tpm: float | None = None
    name: str = ""


class Turn(Protocol):
    """A call that was let in, until it leaves."""

    def answered(self, tokens: int) -> None:
        """There is an answer; ``tokens`` as the server counted them, or an estimate."""
        ...

    def refused(self, retry_after_s: float | None) -> None:
        """The endpoint wants fewer calls, and none for some seconds, if it said so."""
        ...

    def leave(self) -> None:
        """The call is over, however it ended."""
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
    def counts_tokens(self) -> bool:
        """Whether it matters how many tokens a call may use."""
        ...

    async def enter(self, tokens: int) -> Turn:
        """Wait for a turn; ``tokens`` is the most that the call may use, or 0 where that does not matter.

        Cancelling gives up the place in the queue.
        """
        ...


Gates = Callable[[Limits], Gate]
"""Opens the gate of a model."""
