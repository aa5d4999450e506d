"""Accuracy: the proxy answers the rows it is surest of, the reference all others."""

from __future__ import annotations

import math
from collections.abc import Generator

from .betting import Claim
from .certificate import Rows
from .prefixes import longest
from .sample import Sample

PREFIXES = 20
"""Equally many rows are between one and the next. Finer ones would cost no probability, and save hardly anything."""


def believed(sample: Sample, line: Rows, target: float, delta: float) -> Generator[Rows, None, Rows]:
    """The rows whose answers by the proxy are right often enough that ``target`` holds of all rows, those by the reference included.

    Parameters
    ----------
    line : rows that the proxy answered, surest first; a label says whether the reference agreed.
    """
    rows = len(sample.order)
    allowed = math.floor((1 - target) * rows + 1e-9)
    sizes = sorted({round(len(line) * part / PREFIXES) for part in range(1, PREFIXES + 1)} - {0})
    claims = [Claim(size, allowed, min(1.0, (allowed + 1) / size), delta) for size in sizes]
    return line[: (yield from longest(sample, line, claims, wrong_if=False))]
