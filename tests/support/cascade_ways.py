"""Ways to choose a proxy's rows that look right and are not; and worlds that are hard on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from anserdb.engine.plan.cascade import Guarantee
from anserdb.optimizer.cascades.sides import Sides
from anserdb.optimizer.search.hypergeometric import log_ways
from benchmarks.cascade_check import Flags, Ran, Rows, View

Proof = Callable[[Flags, int, int, float], bool]
"""Of the draws of a prefix (whether they are wrong), its size, how many may be wrong, δ."""


def _prefixes(
    view: View, guarantee: Guarantee, seed: int, prefixes: int, drawn: int
) -> Iterator[tuple[int, int, Rows]]:
    """Size, rows that may be wrong, draws in their order."""
    rows = len(view.label)
    order = np.random.default_rng(seed).permutation(rows)
    place = np.empty(rows, np.int64)
    place[view.line] = np.arange(rows)
    for part in range(1, prefixes + 1):
        size = rows * part // prefixes
        yield size, math.floor((1 - (guarantee.accuracy or 0)) * rows + 1e-9), order[place[order] < size][:drawn]


def in_sequence(proof: Proof, drawn: int = 200) -> Callable[[View, Guarantee, int], Ran]:
    """Prefixes in order until one fails, each by this proof."""

    def way(view: View, guarantee: Guarantee, seed: int) -> Ran:
        known, proved = np.zeros(len(view.label), np.bool_), 0
        for size, allowed, draws in _prefixes(view, guarantee, seed, 20, drawn):
            known[draws] = True
            if allowed < size and not proof(~view.label[draws], size, allowed, guarantee.delta):
                break
            proved = size
        return Ran(Sides(view.line[:proved], view.line[:0]), known)

    return way


def unordered(view: View, guarantee: Guarantee, seed: int) -> Ran:
    """Tests all prefixes with one sample, each as it should be, and takes the longest that passes."""
    known, proved = np.zeros(len(view.label), np.bool_), 0
    for size, allowed, draws in _prefixes(view, guarantee, seed, 50, 60):
        known[draws] = True
        if allowed >= size or exact(~view.label[draws], size, allowed, guarantee.delta):
            proved = size
    return Ran(Sides(view.line[:proved], view.line[:0]), known)


def exact(wrong: Flags, size: int, allowed: int, delta: float) -> bool:
    """One look, at the end, at a sample whose size was fixed: valid for one claim."""
    return int(np.count_nonzero(wrong)) <= _most_wrong(size, allowed, len(wrong), delta)


@cache
def _most_wrong(size: int, allowed: int, drawn: int, delta: float) -> int:
    """As many as, or fewer than, that are found with probability δ at most if one row more than is allowed is wrong; -1: none."""
    found = np.arange(drawn + 1)
    chances = np.exp(log_ways(allowed + 1, found) + log_ways(size - allowed - 1, drawn - found) - log_ways(size, drawn))
    return int(np.searchsorted(chances.cumsum(), delta, side="right")) - 1


def peeking(wrong: Flags, size: int, allowed: int, delta: float) -> bool:
    """The same after every other draw, until it passes."""
    found = np.cumsum(wrong)
    return any(found[drawn - 1] <= _most_wrong(size, allowed, drawn, delta) for drawn in range(10, len(wrong) + 1, 2))


def zero_variance(wrong: Flags, size: int, allowed: int, delta: float) -> bool:
    """A normal interval by the sample's own deviation, which is zero while nothing went wrong."""
    del delta
    shares = ((wrong[:drawn].mean(), wrong[:drawn].std() / math.sqrt(drawn)) for drawn in range(10, len(wrong) + 1, 10))
    return any(share + 1.2816 * deviation < allowed / size for share, deviation in shares)


def world(label: Flags, certainty: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None) -> View:
    """Rows as they stand, surest first, or by their certainty; equals by chance."""
    if certainty is None:
        return View(np.arange(len(label)), label)
    return View(np.lexsort((np.random.default_rng(9).permutation(len(label)), -certainty)), label)


ROWS = 40_000
"""Many beside the samples, or answers of the sample would mend what the proof got wrong."""


def wrong_at(places: Rows) -> View:
    """A world of accuracy in which the proxy is wrong at these places of the line."""
    label = np.ones(ROWS, np.bool_)
    label[places] = False
    return world(label)


def all_alike(share: float) -> View:
    """Every confidence is the same, and so many answers are wrong, in a table that is sorted by who is wrong."""
    label = np.arange(ROWS) >= round(share * ROWS)
    return world(label, np.full(ROWS, 0.7))


JUST_TOO_MANY = wrong_at(np.arange(4150))
"""At .9: each prefix from the tenth part on has some wrong rows more than are allowed."""
CLUMP_AT_THE_TOP = wrong_at(np.concatenate([np.arange(2400), np.arange(12_000, ROWS, 15)]))
TIED = all_alike(0.12)
TOO_SURE = wrong_at(np.random.default_rng(3).permutation(ROWS // 2)[:5000])


def positives(share_at_top: float, rows_at_top: int, elsewhere: int, rows: int = 2000) -> View:
    """A world of precision and recall: a share of the top is TRUE, and some rows anywhere below."""
    generator = np.random.default_rng(5)
    label = np.zeros(rows, np.bool_)
    label[:rows_at_top] = generator.random(rows_at_top) < share_at_top
    label[rows_at_top + generator.permutation(rows - rows_at_top)[:elsewhere]] = True
    return world(label)
