"""Whether a way to choose a proxy's rows keeps its promise: the same check for ours and for those that are known to be wrong.

Tests let it fail with broken ways; the benchmark runs it on real scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anserdb.engine.plan.cascade import Guarantee
from anserdb.optimizer.cascades.proving import proven
from anserdb.optimizer.cascades.sample import Sample
from anserdb.optimizer.cascades.sides import Sides

Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]
MOST_MISSED = 0.135
"""Share of runs that may break a promise of δ = .1: its 99 % quantile in 400 runs."""
NAIVE_LABELS = 400


@dataclass(frozen=True, slots=True)
class View:
    """Rows of a world as one promise sees them.

    Parameters
    ----------
    line : rows, surest first. label : of accuracy: whether the reference agrees with the proxy; else whether it says TRUE.
    """

    line: Rows
    label: Flags


@dataclass(frozen=True, slots=True)
class Ran:
    """What a way chose, and whom it asked."""

    sides: Sides
    known: Flags


Method = Callable[[View, Guarantee, int], Ran]
"""Of a view, a promise and a seed."""


@dataclass(frozen=True, slots=True)
class Tried:
    """Over all runs: share of broken promises; means of the rows that the reference answered and of those drawn first."""

    missed: float
    share: float
    labels: float


def ours(view: View, guarantee: Guarantee, seed: int) -> Ran:
    """AnserDB's."""
    sample = Sample(np.random.default_rng(seed).permutation(len(view.label)))
    work = proven(sample, view.line, guarantee)
    try:
        while True:
            rows = next(work)
            sample.learn(rows, view.label[rows])
    except StopIteration as ended:
        return Ran(ended.value, sample.known)


def naive(view: View, guarantee: Guarantee, seed: int) -> Ran:
    """The longest sides whose errors in one uniform sample are as few as the promise allows, as if the sample were all rows."""
    rows = len(view.label)
    known = np.zeros(rows, np.bool_)
    known[np.random.default_rng(seed).permutation(rows)[:NAIVE_LABELS]] = True
    places = np.flatnonzero(known[view.line])
    label = view.label[view.line[places]]
    most_false, most_lost = allowed(guarantee, int(np.count_nonzero(label)), len(places))
    top = longest_within(np.cumsum(~label), places, most_false, rows) if most_false is not None else 0
    below = rows - 1 - places[::-1]
    bottom = longest_within(np.cumsum(label[::-1]), below, most_lost, rows) if most_lost is not None else 0
    top = min(top, rows - bottom)
    return Ran(Sides(view.line[:top], view.line[rows - bottom :]), known)


def allowed(guarantee: Guarantee, trues: int, rows: int) -> tuple[float | None, float | None]:
    """How many false rows may be among the accepted, and how many true ones among the rejected."""
    if guarantee.accuracy is not None:
        return (1 - guarantee.accuracy) * rows, None
    false = lost = None
    if guarantee.recall is not None:
        lost = (1 - guarantee.recall) * trues
    if guarantee.precision is not None:
        false = (1 - guarantee.precision) / guarantee.precision * trues * (guarantee.recall or 1.0)
    return false, lost


def longest_within(errors: NDArray[Any], places: Rows, most: float, rows: int) -> int:
    """Rows before the first at which there are too many errors."""
    over = np.flatnonzero(errors > most + 1e-9)
    return int(places[over[0]]) if over.size else rows


def missed(view: View, guarantee: Guarantee, ran: Ran) -> bool:
    """Whether the whole result is worse than promised."""
    false = _wrong(view, ran.sides.accepted, ran.known, wrong_if=False)
    lost = _wrong(view, ran.sides.rejected, ran.known, wrong_if=True)
    rows, trues = len(view.label), int(np.count_nonzero(view.label))
    if guarantee.accuracy is not None:
        return false > (1 - guarantee.accuracy) * rows + 1e-9
    kept = trues - lost
    imprecise = guarantee.precision is not None and kept < guarantee.precision * (kept + false) - 1e-9
    return imprecise or (guarantee.recall is not None and kept < guarantee.recall * trues - 1e-9)


def _wrong(view: View, side: Rows, known: Flags, wrong_if: bool) -> int:
    return int(np.count_nonzero((view.label[side] == wrong_if) & ~known[side]))


def tried(method: Method, view: View, guarantee: Guarantee, runs: int) -> Tried:
    """Run it with so many seeds."""
    missing, share, labels = 0, 0.0, 0.0
    for seed in range(runs):
        ran = method(view, guarantee, seed)
        missing += missed(view, guarantee, ran)
        both = np.concatenate([ran.sides.accepted, ran.sides.rejected])
        share += 1 - np.count_nonzero(~ran.known[both]) / len(view.label)
        labels += np.count_nonzero(ran.known) / len(view.label)
    return Tried(missing / runs, share / runs, labels / runs)


def least_share(view: View, guarantee: Guarantee) -> float:
    """Of rows that the reference answers if somebody knows every answer beforehand: the clairvoyant minimum of thresholds."""
    label = view.label[view.line]
    rows = len(label)
    most_false, most_lost = allowed(guarantee, int(np.count_nonzero(label)), rows)
    places = np.arange(rows)
    top = longest_within(np.cumsum(~label), places, most_false, rows) if most_false is not None else 0
    bottom = longest_within(np.cumsum(label[::-1]), places, most_lost, rows) if most_lost is not None else 0
    return 1 - min(rows, top + bottom) / rows
