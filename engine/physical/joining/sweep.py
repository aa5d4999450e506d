"""Likely pairs are asked alone, all pairs in blocks, and what a block calls a match is asked alone, too.

A block costs little for a pair, so nothing has to be left to chance; but a judge overlooks some matches in company. How many is
seen on the likely pairs, which are asked both ways. What that proves of matches in the other pairs rests on one assumption,
which no sample of this size could replace: that a match outside of the likely pairs is not overlooked more often than one
among them. Where it is not enough for the recall that is wanted, all pairs are asked in other blocks again; where that cannot be
enough, or a sample is cheaper, there is the sample of :mod:`.blocking`. Each test has its own part of the error probability.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .blocking import DELTA, NEARLY_ALL, Blocked, Judge, Search, part, sampled
from .recall_bound import most_overlooked

ROUNDS = 3
"""Most sweeps: one more costs as much as the first and shows less."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Asking about all pairs in blocks.

    Parameters
    ----------
    ask : does it, for the first, second, … time (0, 1, …), each in other blocks: the pairs that they call matches; ``None``: the
        answers cannot be read. price : what it takes, in pairs asked alone.
    """

    ask: Callable[[int], Awaitable[Collection[int] | None]]
    price: float


async def swept(
    scores: Sequence[float] | NDArray[np.float32],
    judge: Judge,
    sweep: Sweep,
    *,
    chunk: int,
    recall: float,
    delta: float = DELTA,
    seed: int = 0,
) -> Blocked:
    """Find at least ``recall`` of the matches, and say what is proved of it: by blocks, or by a sample where that is cheaper.

    Parameters
    ----------
    scores, judge, chunk, recall, delta, seed : see :func:`.blocking.blocked`. sweep : see :class:`Sweep`.
    """
    search = Search(scores, judge, chunk, seed)
    if search.is_small:
        return await search.all()
    await search.likely()
    return await finished(search, search.matches(), sweep, recall, delta)


async def finished(search: Search, likely: set[int], sweep: Sweep, recall: float, delta: float) -> Blocked:
    """Ask all pairs in blocks, or a sample of those that were not asked yet.

    Parameters
    ----------
    likely : matches that were found without any block: they show how many the blocks overlook.
    """
    named, rounds, left = set[int](), 0, delta
    while rounds < ROUNDS and _pays(search, likely, sweep.price, recall, (delta * part(rounds), left)):
        more = await sweep.ask(rounds)
        if more is None:
            break
        named |= set(more)
        await search.also(more)
        proved = _proved(search, likely, len(likely & named), delta * part(rounds))
        left -= delta * part(rounds)
        rounds += 1
        if proved >= recall:
            return search.result(proved, delta, sweeps=rounds, trusted=True)
    found = await sampled(search, recall, left)
    return replace(found, sweeps=rounds, delta=delta if found.delta else 0.0)


def _pays(search: Search, likely: set[int], price: float, recall: float, deltas: tuple[float, float]) -> bool:
    """Whether a sweep that overlooks nothing would prove enough, and for less than a sample.

    ``deltas`` : the error probabilities of the sweep's test, and of all that a sample may take.
    """
    share = search.share(recall, deltas[1] * part(0) ** 2)
    sample = search.left * (share if share < NEARLY_ALL else 1.0)
    return price < sample and _proved(search, likely, len(likely), deltas[0]) >= recall


def _proved(search: Search, likely: set[int], seen: int, delta: float) -> float:
    """The least recall, if of the likely matches so many were named."""
    others = len(search.matches() - likely)
    missed = most_overlooked(len(likely), seen, others, delta)
    return (len(likely) + others) / max(1, len(likely) + missed)
