"""What a proxy is: who answers rows of a call cheaply and says how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Judged:
    """A proxy's answer.

    Parameters
    ----------
    answer : as the call would give it: TRUE or FALSE, or a label.
    confidence : of a BOOLEAN call how sure it is of TRUE (log-odds: 0 is undecided), of labels how far the answer is ahead of the
        next one. The scale is the proxy's own: only the order of rows matters, but for the sign of log-odds.

    >>> Judged(False, -3.0).certainty
    3.0
    """

    answer: Any
    confidence: float

    @property
    def certainty(self) -> float:
        """How sure it is of its answer, whichever it is."""
        return -self.confidence if self.answer is False else self.confidence


class Proxy(Protocol):
    """Answers rows in the place of the reference. Used on the event loop only.

    Attributes
    ----------
    name : for people and certificates. labels : the reference's answers that it wants to be taught with before it can answer;
        0: none.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def labels(self) -> int:
        """See the class."""
        ...

    async def train(self, rows: Sequence[Sequence[Any]], answers: Sequence[Any]) -> None:
        """Learn from the reference's answers (NULLs and failures are not among them). Called before :meth:`answer`; again, with all of
        them and more, where it is :class:`Curious`.

        Parameters
        ----------
        rows : arguments of distinct inputs, drawn by chance. answers : as many.
        """
        ...

    async def answer(self, rows: Sequence[Sequence[Any]]) -> Sequence[Judged | None]:
        """An answer per row; ``None``: it has none, and the reference is asked.

        Raises
        ------
        ModelError, DataError : it can answer nobody; the reference answers all.
        """
        ...


@runtime_checkable
class Curious(Protocol):
    """A :class:`Proxy` that says from which rows it would learn most, once it has been taught a little."""

    async def curious(self, rows: Sequence[Sequence[Any]]) -> Sequence[int]:
        """Which of these rows, by number, it wants the reference's answers to next; empty: it knows enough.

        Parameters
        ----------
        rows : arguments of all inputs that it has not learnt from.
        """
        ...
