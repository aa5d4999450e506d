"""Precision and recall: TRUE for rows above one threshold, FALSE for rows below another, the reference for those between."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ...engine.plan.cascade import Guarantee
from .betting import Claim
from .certificate import Rows
from .exploring import explored
from .prefixes import longest
from .sample import Sample

TESTED = 12
"""Prefixes of a side, from a quarter of it on."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Rows that are TRUE and rows that are FALSE without being asked about."""

    accepted: Rows
    rejected: Rows


@dataclass(frozen=True, slots=True)
class Tolerances:
    """What a promise of precision P and recall R allows; of one that is not given the reference answers all that could break it.

    With N rows that the reference keeps, at most ``false`` · N may be accepted falsely, and at most ``lost`` for each that is kept
    may be rejected. Precision is P then even if only R · N are kept. ``kept``: what is left, at worst, of rows that are accepted
    or known to be kept.
    """

    false: float
    lost: float
    kept: float
    delta: float

    @classmethod
    def of(cls, guarantee: Guarantee) -> Tolerances:
        """Of a promise; each of two is broken with half the probability."""
        precision, recall = guarantee.precision, guarantee.recall
        both = precision is not None and recall is not None
        return cls(
            false=0.0 if precision is None else (1 - precision) / precision * (recall or 1.0),
            lost=0.0 if recall is None else (1 - recall) / recall,
            kept=precision or 1.0,
            delta=guarantee.delta / 2 if both else guarantee.delta,
        )


def sides_of(sample: Sample, line: Rows, guarantee: Guarantee) -> Generator[Rows, None, Sides]:
    """Explore, then prove: labels that choose how far to go are no part of any proof, and stay exact.

    The accepting side first; it proves how many rows are kept at least, which the rejecting side needs.

    Parameters
    ----------
    line : rows the proxy has a score of, surest of TRUE first.
    """
    allow = Tolerances.of(guarantee)
    found = yield from explored(sample, line, allow.false, allow.lost)
    top, bottom = (side[~sample.known[side]] for side in (found.top, found.bottom))
    size = yield from _accepted(sample, top, allow)
    taken = top[:size]
    yield from sample.ask(top[size:])
    dropped = yield from _rejected(sample, bottom, taken, allow)
    return Sides(taken, bottom[:dropped])


def _accepted(sample: Sample, top: Rows, allow: Tolerances) -> Generator[Rows, None, int]:
    """How many of the top may be TRUE. False ones are proved to be few beside the true ones among them and those known already."""
    known = np.count_nonzero(sample.label & sample.known)
    share = allow.false / (1 + allow.false)
    claims = [_claim(size, share * (known + size), allow.delta) for size in _tested(len(top))]
    return (yield from longest(sample, top, claims, wrong_if=False))


def _rejected(sample: Sample, bottom: Rows, taken: Rows, allow: Tolerances) -> Generator[Rows, None, int]:
    """How many of the bottom may be FALSE. What is kept for certain: known rows, and those taken less the false ones among them."""
    kept = np.count_nonzero(sample.label & sample.known) - sample.positives(taken) + len(taken)
    allowed = allow.lost * kept * (allow.kept if len(taken) else 1.0)
    claims = [_claim(size, allowed, allow.delta) for size in _tested(len(bottom))]
    return (yield from longest(sample, bottom, claims, wrong_if=True))


def _claim(size: int, allowed: float, delta: float) -> Claim:
    most = math.floor(allowed + 1e-9)
    return Claim(size, most, min(1.0, (most + 1) / size), delta)


def _tested(rows: int) -> list[int]:
    return sorted({round(rows * part) for part in np.linspace(0.25, 1, TESTED)} - {0})
