"""Strengths from comparisons that contradict each other: Bradley and Terry's model with a prior, as far as it is needed.

Source: Bradley and Terry (Biometrika 39, 1952). The prior keeps a row that has won everything from being infinitely strong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from .court import Court
from .judge import Pair

PRIOR = 3.0
"""Standard deviation of the strengths before anything is known, in logits."""
_STEPS = 30


def strengths(court: Court, rows: Iterable[int]) -> Mapping[int, float]:
    """The strengths of the rows, from all answers in which at least one of them stands."""
    chosen = set(rows)
    games = [(pair, p) for pair, p in court.answers.items() if p is not None and not chosen.isdisjoint(pair)]
    fitted = dict.fromkeys([*chosen, *(row for pair, _ in games for row in pair)], 0.0)
    for _ in range(_STEPS):
        _step(fitted, games)
    return {row: fitted[row] for row in chosen}


def by_strength(court: Court, rows: Sequence[int]) -> list[int]:
    """The rows, the strongest first."""
    fitted = strengths(court, rows)
    return sorted(rows, key=lambda row: -fitted[row])


def _step(fitted: dict[int, float], games: Iterable[tuple[Pair, float]]) -> None:
    """One Newton step for each row by itself, damped by half, since its opponents move, too."""
    slope = {row: -strength / PRIOR**2 for row, strength in fitted.items()}
    bend = dict.fromkeys(fitted, 1.0 / PRIOR**2)
    for (a, b), p in games:
        chance = 1.0 / (1.0 + math.exp(fitted[b] - fitted[a]))
        for row, sign in ((a, 1.0), (b, -1.0)):
            slope[row] += sign * (p - chance)
            bend[row] += chance * (1.0 - chance)
    for row in fitted:
        fitted[row] += 0.5 * max(-2.0, min(2.0, slope[row] / bend[row]))
