"""A score for each row, and the rows by their scores: what the query says, word for word."""

from __future__ import annotations

from collections.abc import Sequence

from .court import Bound, Court


def pointwise_bound(rows: int, _: int) -> Bound:
    """A question a row, in one round."""
    return Bound(rows, 1)


async def pointwise(court: Court, rows: Sequence[int], wanted: int) -> list[int]:
    """The best ``wanted`` rows by score, equal ones as they stand; rows without a score are not among them."""
    return (await by_score(court, rows))[:wanted]


async def by_score(court: Court, rows: Sequence[int]) -> list[int]:
    """All rows that have a score, best first."""
    scores = await court.ask_scores(rows)
    scored = [(row, score) for row in rows if (score := scores[row]) is not None]
    return [row for row, _ in sorted(scored, key=lambda item: -item[1])]
