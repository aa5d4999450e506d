"""By which of the ways that there are the pairs of a join are asked: alone, likely ones and blocks, or keys first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypedDict

import numpy as np

from ...dataflow.lookups import in_thread
from ..joining.blocking import Ints, Judge, blocked
from ..joining.keyed import Blocks, Keyed, Keys, keyed
from ..joining.sweep import Sweep, swept
from .call_stage import CallStage
from .join_keys import JoinKeys
from .pair_blocks import PairBlocks

Scores = Sequence[float] | np.ndarray[Any, np.dtype[np.float32]]


class Bounds(TypedDict):
    """Pairs asked between looks, the recall that is wanted, and the probability of falling below it."""

    chunk: int
    recall: float
    delta: float


async def joined(
    stage: CallStage,
    blocks: PairBlocks | None,
    scores: Scores,
    judge: Judge,
    bounds: Bounds,
    sides_of: Callable[[Collection[int]], tuple[Ints, Ints]],
) -> Keyed:
    """What is known of all pairs in the end.

    Parameters
    ----------
    blocks : asks about many pairs in a prompt; ``None``: nobody can. scores, judge : of pairs; see :mod:`..joining.blocking`.
    sides_of : where the two rows of each of some pairs stand on their sides.
    """
    if blocks is None:
        return Keyed(await blocked(scores, judge, **bounds))
    sweep = Sweep(blocks.sweep, await in_thread(lambda: blocks.price))
    if stage.keys is None:
        return Keyed(await swept(scores, judge, sweep, **bounds))
    rows = JoinKeys(stage.keys(), blocks, sides_of)
    keys = Keys(rows.ask, await in_thread(lambda: rows.price), rows.probe)
    return await keyed(scores, judge, keys, Blocks(sweep, partial(blocks.sweep, 0)), **bounds)
