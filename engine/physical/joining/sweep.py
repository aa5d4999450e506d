"""Likely pairs are asked alone, all pairs in blocks, and what a block calls a match is asked alone, too.

A block costs little for a pair, so nothing has to be left to chance; but a judge overlooks some matches in company. How many is
seen on the likely pairs, which are asked both ways. What that proves of matches in the other pairs rests on one assumption,
which no sample of this size could replace: that a match outside of the likely pairs is not overlooked more often than one
among them. Where it is not enough for the recall that is wanted, all pairs are asked alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from .blocking import DELTA, WORTHWHILE, Blocked, Judge, Search
from .recall_bound import least_share, most_missed

Sweep = Callable[[], Awaitable[Collection[int]]]
"""Asks about all pairs in blocks; the pairs that they call matches."""


async def swept(
    scores: Sequence[float] | NDArray[np.float32],
    judge: Judge,
    sweep: Sweep,
    *,
    chunk: int,
    recall: float,
    delta: float = DELTA,
) -> Blocked:
    """Find at least ``recall`` of the matches, and say what is proved of it.

    Parameters
    ----------
    scores, judge, chunk, recall, delta : see :func:`.blocking.blocked`. sweep : see :data:`Sweep`.
    """
    search = Search(np.asarray(scores, np.float32), judge, max(1, chunk), 0)
    if len(search.order) < WORTHWHILE:
        await search.down_to(len(search.order))
        return search.result(1.0, delta)
    await search.likely()
    likely = search.matches()
    named = set(await sweep())
    share = least_share(len(likely & named), len(likely), delta / 2)
    await search.also(named)
    others = len(search.matches() - likely)
    missed = most_missed(others, share, delta / 2)
    proved = (len(likely) + others) / max(1, len(likely) + missed)
    if proved < recall:
        await search.down_to(len(search.order))
        proved = 1.0
    return search.result(proved, delta)
