"""How far a proxy may probably be believed on each side, by a sample that proves nothing; rows between are asked about at once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from .certificate import Flags, Floats, Rows
from .sample import Sample

SHARE, LEAST, MOST = 0.04, 100, 400
"""Rows of the pilot: such a share of all, within these limits."""
FEW = 20
"""With fewer rows of the pilot that are TRUE, as many of the surest are asked about besides."""
HOPE = 0.5
"""Standard deviations by which a side may be longer than the pilot says: what was too hopeful fails its proof later."""


@dataclass(frozen=True, slots=True)
class Explored:
    """The rows of each side that are worth a proof, surest first."""

    top: Rows
    bottom: Rows


def explored(sample: Sample, line: Rows, false: float, lost: float) -> Generator[Rows, None, Explored]:
    """Draw a pilot, guess both sides, ask about what lies between.

    Parameters
    ----------
    false, lost : errors allowed at the top and at the bottom, for each row that is TRUE; 0: no such side.
    """
    rows = len(sample.order)
    count = min(rows, max(LEAST, min(MOST, round(SHARE * rows))))
    yield from sample.ask(sample.order[:count])
    surest = line[:0]
    if sample.positives(sample.order[:count]) < FEW:
        surest = line[:count]
        yield from sample.ask(surest)
    top, bottom = _guessed(sample, line, len(surest), false, lost)
    found = Explored(line[:top], line[len(line) - bottom :][::-1])
    between = np.ones(rows, np.bool_)
    between[found.top] = between[found.bottom] = False
    yield from sample.ask(np.flatnonzero(between))
    return found


def _guessed(sample: Sample, line: Rows, surest: int, false: float, lost: float) -> tuple[int, int]:
    places = np.flatnonzero(sample.known[line])
    label = sample.label[line[places]]
    drawn = places >= surest
    weight = np.where(drawn, (len(line) - surest) / max(1, int(np.count_nonzero(drawn))), 1.0)
    trues = float(weight[label].sum())
    top = _reach(places, (weight - 1) * ~label, false * trues, len(line)) if false else 0
    low = len(line) - 1 - places[::-1]
    bottom = _reach(low, ((weight - 1) * label)[::-1], lost * trues, len(line)) if lost else 0
    if top + bottom > len(line):
        top = _parted(places, label, weight, len(line) - bottom, top)
        bottom = min(bottom, len(line) - top)
    return top, bottom


def _reach(places: Rows, errors: Floats, allowed: float, rows: int) -> int:
    """How many rows from one end there are before errors are, even hopefully counted, too many."""
    counted = np.cumsum(errors) - HOPE * np.sqrt(np.cumsum(errors * errors))
    over = np.flatnonzero(counted > allowed)
    return int(places[over[0]]) if over.size else rows


def _parted(places: Rows, label: Flags, weight: Floats, low: int, high: int) -> int:
    """Where two sides that overlap meet, with the fewest errors."""
    errors = np.cumsum(weight * ~label) - np.cumsum(weight * label)
    within = np.flatnonzero((places >= low) & (places < high))
    return int(places[within[np.argmin(errors[within])]]) + 1 if within.size else high
