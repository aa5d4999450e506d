"""Who is asked which of two rows comes first, and how high a row stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Pair = tuple[int, int]


class Judge(Protocol):
    """Answers about rows, which are named by their number. One call of a method is one round: its questions go out together."""

    async def compare(self, pairs: Sequence[Pair]) -> Sequence[float | None]:
        """For each pair the probability that its first row is the better one; ``None``: the question failed."""
        ...

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        """How high each row stands, in any unit; ``None``: NULL, or the question failed."""
        ...


@dataclass(frozen=True, slots=True)
class Opposite:
    """The judge of the opposite order: what it likes least comes first."""

    judge: Judge

    async def compare(self, pairs: Sequence[Pair]) -> Sequence[float | None]:
        """The probability that the first row is the worse one."""
        return [None if answer is None else 1.0 - answer for answer in await self.judge.compare(pairs)]

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        """The negated scores."""
        return [None if answer is None else -answer for answer in await self.judge.score(rows)]
