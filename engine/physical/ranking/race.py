"""A race: near rows meet each other round after round, and the weakest stay behind. For judges that contradict themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from .court import Court
from .judge import Pair
from .round_robin import closest
from .strengths import by_strength

POOL = 120
"""Rows that may race: with a handful of questions for each, more of them cannot be told apart."""
_KEPT = 0.7
"""The share of the field that goes on to the next round."""


async def race(court: Court, rows: Sequence[int], wanted: int) -> list[int]:
    """The best ``wanted`` rows by their strengths, with all rounds and questions that are left."""
    field = by_strength(court, rows)
    ranked: list[int] = []
    while (left := court.left).rounds > 0 and left.calls > 0 and len(field) > 1:
        pairs = list(islice(_questions(court, field), left.calls // left.rounds or left.calls))
        if not pairs:
            break
        await court.ask(pairs)
        field = by_strength(court, field)
        keep = max(round(1.6 * wanted), round(_KEPT * len(field)))
        ranked = [*field[keep:], *ranked]
        field = field[:keep]
    court.short = court.short or min(court.left.calls, court.left.rounds) <= 0
    return [*field, *ranked][:wanted]


def _questions(court: Court, field: Sequence[int]) -> Iterator[Pair]:
    """What may still be asked among the field: nearest rows first, a new pair before the other order of an old one."""
    return chain(court.first_look(closest(field)), court.second_look(closest(field)))
