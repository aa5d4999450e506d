"""Which rows come first: NULLs where ORDER BY puts them, equal rows asked once, the rest by an algorithm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from .court import Bound, Court
from .heap import heap, heap_bound
from .judge import Judge, Opposite
from .pointwise import pointwise, pointwise_bound
from .quickselect import quickselect, quickselect_bound
from .refine import refine, refine_bound
from .round_robin import round_robin, round_robin_bound
from .tournament import tournament, tournament_bound


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How the best rows are found.

    Parameters
    ----------
    bound : what it takes at most, from the number of rows that differ and of places.
    select : the best rows in their order. scored : rows without a score are NULL to it.
    """

    bound: Callable[[int, int], Bound]
    select: Callable[[Court, Sequence[int], int], Awaitable[list[int]]]
    scored: bool = False


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        "pointwise": Algorithm(pointwise_bound, pointwise, scored=True),
        "refine": Algorithm(refine_bound, refine, scored=True),
        "quickselect": Algorithm(quickselect_bound, quickselect),
        "heap": Algorithm(heap_bound, heap),
        "tournament": Algorithm(tournament_bound, tournament),
        "round robin": Algorithm(round_robin_bound, round_robin),
    }
)


@dataclass(frozen=True, slots=True)
class Order:
    """The direction: ``descending``: what the judge likes best comes first; ``nulls_first`` as in ORDER BY."""

    descending: bool = True
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Ranking:
    """The first rows.

    Parameters
    ----------
    rows : their numbers, in order. calls, rounds : what was asked. failed : questions without an answer.
    ties : rows of equal score of which some are in ``rows``, so that their place decided; only of algorithms that score.
    short : questions were left unasked at the bound, and what was known had to do.
    """

    rows: tuple[int, ...]
    calls: int
    rounds: int
    failed: int
    ties: tuple[tuple[int, ...], ...] = ()
    short: bool = False


async def top_k(
    judge: Judge, values: Sequence[Hashable], wanted: int, algorithm: str, order: Order | None = None, seed: int = 0
) -> Ranking:
    """The first ``wanted`` rows of ``values`` by the judge.

    Parameters
    ----------
    judge : asked about rows by their place in ``values``; of equal ones only about the first.
    values : what rows are compared by; ``None`` is NULL and never asked. algorithm : one of ``ALGORITHMS``.
    seed : of every choice by chance: the same seed and answers give the same ranking.
    """
    order, chosen = order or Order(), ALGORITHMS[algorithm]
    alike = _alike(values)
    nulls = alike.pop(None, [])
    twins = {rows[0]: rows for rows in alike.values()}
    court = Court(judge if order.descending else Opposite(judge), chosen.bound(len(twins), wanted), seed)
    places = wanted - len(nulls) if order.nulls_first and not chosen.scored else wanted
    best = await chosen.select(court, list(twins), places) if places > 0 and twins else []
    if chosen.scored:
        nulls = sorted(
            [*nulls, *(row for first in twins if court.scores.get(first, 0) is None for row in twins[first])]
        )
    ranked = [row for first in best for row in twins[first]]
    rows = ([*nulls, *ranked] if order.nulls_first else [*ranked, *nulls])[: max(0, wanted)]
    return Ranking(tuple(rows), court.calls, court.rounds, court.failed, _ties(court, twins, rows), court.short)


def _alike(values: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = {}
    for row, value in enumerate(values):
        groups.setdefault(value, []).append(row)
    return groups


def _ties(court: Court, twins: Mapping[int, Sequence[int]], rows: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    scores = {row: score for first, score in court.scores.items() if score is not None for row in twins[first]}
    groups: dict[float, list[int]] = {}
    for row in sorted(scores):
        groups.setdefault(scores[row], []).append(row)
    shown = {scores[row] for row in rows if row in scores}
    return tuple(
        tuple(group) for score, group in sorted(groups.items(), reverse=True) if score in shown and len(group) > 1
    )
