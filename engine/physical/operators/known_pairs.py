"""What is left of a join's pairs when some have been answered as a classification, and the column of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from ...dataflow.lookups import in_thread
from ...plan.pairs import Pairs
from .by_labels import Ask, Labelled, by_labels
from .call_stage import CallStage
from .label_grid import Population, grid_of


async def known_pairs(stage: CallStage, pairs: Pairs, population: Population, ask: Ask, delta: float) -> Labelled:
    """Answers of the pairs that a classification gives, none where it is not allowed, not possible or not good enough."""
    if stage.labels is None:
        return Labelled()
    grid = await in_thread(partial(grid_of, stage, pairs, population))
    return Labelled() if grid is None else await by_labels(grid, ask, stage.labels(), pairs.recall, delta)


def left_over(unit_of: Sequence[int], known: Mapping[int, object], count: int) -> tuple[list[int], list[int]]:
    """The pairs that are not known, and per row its place among them (-1: it has none).

    >>> left_over([0, 1, 1, -1, 2], {0: True}, 3)
    ([1, 2], [-1, 0, 0, -1, 1])
    """
    units = [unit for unit in range(count) if unit not in known]
    place = {unit: number for number, unit in enumerate(units)}
    return units, [place.get(unit, -1) for unit in unit_of]
