"""Everybody against everybody: one round orders a few rows, whatever contradicts itself among the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from .court import Bound, Court
from .judge import Pair


def round_robin_bound(rows: int, _: int) -> Bound:
    """Each pair in both orders, at most."""
    return Bound(rows * (rows - 1), 2)


async def round_robin(court: Court, rows: Sequence[int], wanted: int) -> list[int]:
    """The best ``wanted`` rows, by all pairs."""
    await court.settle(list(combinations(rows, 2)))
    return by_wins(court, rows)[:wanted]


def by_wins(court: Court, rows: Sequence[int]) -> list[int]:
    """The rows by how many others they beat (Copeland), then by how clearly, then as they stand."""
    clear, wins = dict.fromkeys(rows, 0.0), dict.fromkeys(rows, 0.0)
    for a, b in combinations(rows, 2):
        favour = court.favour(a, b)
        clear[a] += favour
        clear[b] += 1.0 - favour
        win = 0.5 if favour == 0.5 else float(favour > 0.5)
        wins[a] += win
        wins[b] += 1.0 - win
    return sorted(rows, key=lambda row: (-wins[row], -clear[row]))


def round_pairs(rows: Sequence[int]) -> Iterator[Pair]:
    """All pairs, in an order in which any first part of them asks about every row about as often."""
    count = len(rows)
    for step in range(1, count // 2 + 1):
        for place in range(step if 2 * step == count else count):
            yield rows[place], rows[(place + step) % count]


def closest(ordered: Sequence[int]) -> Iterator[Pair]:
    """All pairs of an order, neighbours first: where another answer is most likely to change it."""
    for step in range(1, len(ordered)):
        for place in range(len(ordered) - step):
            yield ordered[place], ordered[place + step]
