"""Beta posteriors of the share that goes on, for every predicate after every set of predicates passed.

Few sets are ever seen, so each borrows from those with one predicate less: its prior is a Beta around their draw, worth
``SHRINKAGE`` rows. Draws go through the levels together, so that what is unsure below is as unsure above, and predicates
that have nothing to do with each other are known to be so after few rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import Counts
from .levels import Level, levels
from .subsets import Shares

SHRINKAGE = 8.0
PRIOR_ROWS = 2.0
PRIOR_COSTS = 4.0
_EDGE = 1e-6


def draw(
    counts: Counts,
    going_on: Sequence[float],
    worlds: int,
    generator: np.random.Generator,
    by_level: Sequence[Level] | None = None,
) -> Shares:
    """So many worlds that what was seen allows, each with its probability.

    Parameters
    ----------
    counts : what was seen. going_on : by predicate, the share expected before anything was seen (worth two rows).
    by_level : the contexts that were counted; the sets of predicates passed, if nothing is said.
    """
    sets, count = counts.asked.shape
    found = np.ones((sets, count, worlds))
    for level, (masks, predicates, parents) in enumerate(by_level or levels(count, 1)):
        if level:
            below = found[parents, predicates[:, None]]
            weight = counts.asked[parents, predicates[:, None]][..., None] + 1
            mean, strength = (below * weight).sum(axis=1) / weight.sum(axis=1), np.full((1, 1), SHRINKAGE)
        else:
            mean, strength = _pooled(counts, going_on)
        asked, on = counts.asked[masks, predicates][:, None], counts.on[masks, predicates][:, None]
        mean = np.clip(mean, _EDGE, 1 - _EDGE)
        found[masks, predicates] = generator.beta(
            strength * mean + on, strength * (1 - mean) + asked - on, (len(masks), worlds)
        )
    return found


def mean_costs(counts: Counts, expected: Sequence[float]) -> NDArray[np.float64]:
    """By predicate, of a question; what was expected beforehand is worth four."""
    return (counts.costs + PRIOR_COSTS * np.asarray(expected)) / (counts.questions + PRIOR_COSTS)


def _pooled(counts: Counts, going_on: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where nothing was passed: around the rate after any set, worth as many rows as there are, at most ``SHRINKAGE``."""
    asked, on = counts.asked[1:].sum(axis=0), counts.on[1:].sum(axis=0)
    mean = (on + PRIOR_ROWS * np.asarray(going_on)) / (asked + PRIOR_ROWS)
    return mean[:, None], np.minimum(asked + PRIOR_ROWS, SHRINKAGE)[:, None]
