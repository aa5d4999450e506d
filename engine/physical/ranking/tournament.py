"""A knock-out: the winner in a few rounds, and each next one among those who lost to nobody but the places before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .court import Bound, Court


def tournament_bound(rows: int, wanted: int) -> Bound:
    """A match fewer than rows, and a replayed path for each further place; each match asked twice at most."""
    depth = max(1, (rows - 1).bit_length())
    paths = max(0, min(wanted, rows) - 1) * depth
    return Bound(2 * (rows + paths), 2 * (depth + paths))


async def tournament(court: Court, rows: Sequence[int], wanted: int) -> list[int]:
    """The best ``wanted`` rows, the winner's path played again without it for each further place."""
    levels: list[list[int | None]] = [list(rows)]
    while len(levels[-1]) > 1:
        places = range(0, len(levels[-1]), 2)
        levels.append(await _matches(court, [_match(levels[-1], place) for place in places]))
    best: list[int] = []
    while (winner := levels[-1][0] if levels[-1] else None) is not None and len(best) < wanted:
        best.append(winner)
        if len(best) < wanted:
            await _replay(court, levels, levels[0].index(winner))
    return best


async def _replay(court: Court, levels: list[list[int | None]], place: int) -> None:
    levels[0][place] = None
    for below, above in pairwise(levels):
        place //= 2
        (above[place],) = await _matches(court, [_match(below, 2 * place)])
    if len(levels) == 1:
        levels[0][0] = None


def _match(level: Sequence[int | None], place: int) -> tuple[int | None, int | None]:
    return level[place], level[place + 1] if place + 1 < len(level) else None


async def _matches(court: Court, matches: Sequence[tuple[int | None, int | None]]) -> list[int | None]:
    await court.settle([(a, b) for a, b in matches if a is not None and b is not None])
    return [_winner(court, a, b) for a, b in matches]


def _winner(court: Court, a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return a if court.favour(a, b) >= 0.5 else b
