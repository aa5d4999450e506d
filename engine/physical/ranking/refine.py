"""Scores choose the candidates, comparisons order them: a score is cheap, a comparison tells near rows apart."""

from __future__ import annotations

from collections.abc import Sequence

from .court import Bound, Court
from .pointwise import by_score
from .quickselect import quickselect, quickselect_bound

KEEP = 8
"""Candidates for each place: a noisy score puts good rows that far down, and comparisons find them again (bench-topk)."""


def refine_bound(rows: int, wanted: int) -> Bound:
    """A score a row, and as many comparisons, or what ordering the wanted ones takes where these are many; a dozen rounds."""
    rounds = quickselect_bound(min(rows, 2 * KEEP * wanted), wanted).rounds
    return Bound(rows + max(rows, 40 * min(wanted, rows)), rounds)


async def refine(court: Court, rows: Sequence[int], wanted: int) -> list[int]:
    """The best ``wanted`` rows: pointwise down to ``KEEP`` for each, then by comparisons."""
    return await quickselect(court, _candidates(court, await by_score(court, rows), KEEP * wanted), wanted)


def _candidates(court: Court, ordered: Sequence[int], keep: int) -> list[int]:
    """The first ``keep`` and those that score like the last of them, up to twice as many: a tie is no reason to leave."""
    if len(ordered) <= keep:
        return list(ordered)
    last = court.scores[ordered[keep - 1]]
    return [row for place, row in enumerate(ordered[: 2 * keep]) if place < keep or court.scores[row] == last]
