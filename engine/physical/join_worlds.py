"""What a join will ask if the world is so: how many pairs match, how many of them are likely ones, how far one prompt about all
labels agrees with pairs alone. The decisions are those of :mod:`.joining` and of the chooser of arms; nothing is asked.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from statistics import NormalDist

from ...optimizer.cost.figure import Figure
from ...optimizer.search.chooser import AUDIT_SHARE, Chooser
from .joining.blocking import DELTA, NEAR, NEARLY_ALL, WORTHWHILE, part
from .joining.keyed import ALONE as LOOK_FIRST
from .joining.keyed import MOST_LOOK, SPARE
from .joining.recall_bound import most_missed, most_overlooked, share_needed
from .operators.by_labels import ALONE, CHECKED, NAMES, SEED
from .operators.label_grid import Costs
from .operators.paired import LEAST_CHUNK

NEARLY_ALL_LIKELY = 0.95
"""Of matches: where fewer are among the likely pairs, blocks come upon others."""
MANY = 100
"""Matches in a sample from which on its exact bound would take too long for an estimate."""
LOOKED_AT = 1000
"""Rows with labels that are followed one by one; the rest does as the last of them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A population of pairs.

    Parameters
    ----------
    rows : whose inputs are not NULL. pairs : distinct ones. lefts, rights : distinct texts of both sides.
    price : of asking about all pairs in blocks, in pairs asked alone; ``None``: nobody may. labels : what a row about all texts
        of the smaller side costs, and its pairs; ``None``: nobody may ask so. recall : that is wanted.
    keys : a part of the blocks may be enough.
    """

    rows: float
    pairs: float
    lefts: int
    rights: int
    recall: float
    price: float | None = None
    labels: Costs | None = None
    keys: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """``matches`` : pairs that match. ``likely`` : the share of them among likely pairs, of which ``precision`` match.
    ``agrees`` : share of rows of which one prompt about all labels says what the pairs say."""

    matches: float
    likely: float
    precision: float
    agrees: float


@dataclass(frozen=True, slots=True)
class Asks:
    """``alone`` : pairs. ``sweeps`` : how often all are asked about in blocks. ``together`` : prompts about all labels."""

    alone: float
    sweeps: float = 0.0
    together: float = 0.0


def worlds(matches: Figure) -> Iterator[World]:
    """Worlds that may be; the first is the likeliest."""
    yield World(matches.value, 0.9, 0.6, 0.97)
    for some in (matches.low, matches.value, matches.high):
        if some is not None:
            yield World(some, 1.0, 1.0, 1.0)
            yield World(some, 0.5, 0.3, 0.8)


def asks(shape: Shape, world: World) -> Asks:
    """What is asked in a world."""
    delta = DELTA / 2
    if shape.labels is None:
        return _searched(shape, world, shape.pairs, delta)
    rows = max(shape.lefts, shape.rights)
    known = _labelled(shape, shape.labels, world, rows, delta / 2)
    left = shape.pairs * (1 - known.together / rows)
    if not left:
        return known
    rest = _searched(shape, world, left, delta / 2)
    return Asks(known.alone + rest.alone, rest.sweeps, known.together)


def _searched(shape: Shape, world: World, pairs: float, delta: float) -> Asks:
    """Likely pairs alone, then blocks or a sample, whichever is cheaper and proves enough; else all."""
    if pairs < WORTHWHILE:
        return Asks(pairs)
    matches = world.matches * pairs / shape.pairs
    chunk, found = max(LEAST_CHUNK, max(shape.lefts, shape.rights) // 2), round(matches * world.likely)
    # The last chunk has next to no match.
    cut = min(pairs, chunk * (math.ceil(found / (world.precision * chunk)) + 1))
    share = share_needed(_allowed(found, shape.recall), delta * part(0) ** 2)
    sample = (pairs - cut) * (share if share < NEARLY_ALL else 1.0)
    sweeps = _sweeps(shape, found, matches, delta / 2)
    proved = _recall(found, found, delta * part(0)) >= shape.recall
    if shape.price is not None and shape.price * sweeps < sample and proved:
        return Asks(min(pairs, cut + matches - found), sweeps)
    return Asks(cut + _sampled(found, matches - found, cut, pairs - cut, shape.recall, delta))


def _sampled(found: int, others: float, cut: float, left: float, recall: float, delta: float) -> float:
    """Pairs asked by chance, if the other matches are anywhere: twice as many again until that proves enough."""
    for wider in count():
        risk = delta * part(0) * part(wider)
        share = share_needed(_allowed(found, recall), risk) * 2.0**wider
        if share >= NEARLY_ALL:
            return left
        seen = round(others * share)
        if (found + seen) / max(1, found + _missed(seen, share, risk)) >= recall:
            return min(left, left * share + min(cut, left) * share * (NEAR - 1))
    raise AssertionError  # the share grows


def _missed(seen: int, share: float, risk: float) -> float:
    """The most matches that a sample leaves possible; of many seen, by a normal distribution."""
    if seen < MANY:
        return most_missed(seen, share, risk)
    far = NormalDist().inv_cdf(1 - risk)
    return (seen + far * far / 2 + far * math.sqrt(seen + far * far / 4)) / share


def _sweeps(shape: Shape, found: int, matches: float, delta: float) -> float:
    """How often all pairs are asked in blocks; a part of them may do where rows can be asked for keys."""
    if not shape.keys:
        return 1.0
    if found < NEARLY_ALL_LIKELY * matches:
        return MOST_LOOK
    numbers = range(1, found + 1)
    seen = 1 + bisect_left(numbers, True, key=lambda n: _recall(found, n, delta * LOOK_FIRST) >= shape.recall)
    return min(1.0, SPARE * seen / max(1, found))


def _allowed(found: int, recall: float) -> int:
    """Matches that may be missed."""
    return int(found / recall - found + 1e-9)


def _recall(found: int, seen: int, delta: float) -> float:
    """What is proved if blocks name so many of the matches found, and no other."""
    return found / max(1, found + most_overlooked(found, seen, 0, delta))


def _labelled(shape: Shape, costs: Costs, world: World, rows: int, delta: float) -> Asks:
    """Rows asked both ways until one prompt for all labels serves, or cannot."""
    labels, named = shape.pairs / rows, world.matches / rows
    a_row = costs.pairs, costs.prompt, costs.prompt + named * costs.pair
    chooser = Chooser(
        len(NAMES),
        lambda: a_row,
        room=lambda: 1.0 - shape.recall,
        took=lambda _: None,
        beside=lambda: (costs.pairs, costs.prompt / 2, costs.prompt / 2),
        rows=lambda: float(rows),
        same=min,
        delta=delta,
    )
    chance, something = random.Random(SEED), 1.0 - math.exp(-named)
    alone = together = 0.0
    while together < min(rows, LOOKED_AT) and (given := chooser.assign()) is not None and given.arms != (0,):
        together += 1
        alone += labels if 0 in given.arms else named if given.serve == CHECKED else 0.0
        if 0 in given.arms:
            agreed = float(chance.random() < world.agrees)
            chooser.learn(given, {0: 1.0, ALONE: agreed, CHECKED: agreed} if chance.random() < something else {})
    if together == LOOKED_AT < rows and chooser.serving:
        left = rows - together
        alone += left * (AUDIT_SHARE * labels + named * (chooser.serving == CHECKED))
        together = float(rows)
    return Asks(alone, 0.0, together)
