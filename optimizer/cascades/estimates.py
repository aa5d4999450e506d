"""What was certified, and what is to be expected besides."""

from __future__ import annotations

import numpy as np

from ...engine.plan.cascade import Guarantee
from .certificate import Bound, Rows
from .sample import Sample
from .sides import Sides


def bounds_of(guarantee: Guarantee, sample: Sample, sides: Sides) -> tuple[Bound, ...]:
    """A bound for each metric that was promised. No more is certified than was tested: the target, or what holds without a test."""
    if guarantee.accuracy is not None:
        return (_accuracy(guarantee.accuracy, sample, sides.accepted),)
    false, taken = _errors(sample, sides.accepted, wrong_if=False)
    lost, dropped = _errors(sample, sides.rejected, wrong_if=True)
    kept = np.count_nonzero(sample.label & sample.known) + taken - false
    bounds: list[Bound] = []
    if guarantee.precision is not None:
        certified = guarantee.precision if taken else 1.0
        bounds.append(Bound("precision", guarantee.precision, certified, _share(kept, false)))
    if guarantee.recall is not None:
        certified = guarantee.recall if dropped else 1.0
        bounds.append(Bound("recall", guarantee.recall, certified, _share(kept, lost)))
    return tuple(bounds)


def _accuracy(target: float, sample: Sample, taken: Rows) -> Bound:
    wrong, unknown = _errors(sample, taken, wrong_if=False)
    rows = max(1, len(sample.order))
    return Bound("accuracy", target, float(max(target, 1 - unknown / rows)), float(1 - wrong / rows))


def _errors(sample: Sample, side: Rows, wrong_if: bool) -> tuple[float, int]:
    """How many rows that nobody asked about are wrong, probably, and how many such rows there are.

    Rows drawn of the side are a uniform sample of it; where none was, half of the rest is not more wrong than right.
    """
    known = side[sample.known[side]]
    unknown = len(side) - len(known)
    wrong = np.count_nonzero(sample.label[known] == wrong_if)
    return unknown * (wrong + 0.5) / (len(known) + 1), unknown


def _share(good: float, bad: float) -> float:
    return float(good / (good + bad)) if good + bad else 1.0
