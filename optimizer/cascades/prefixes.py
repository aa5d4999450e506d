"""How far down a line of rows, surest first, the proxy may be believed: prefixes are proved in order, until one cannot be."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from .betting import Claim
from .certificate import Rows
from .sample import Sample

FIRST_LOOK = 40
"""Draws of a set before anybody may give up."""
STEP, GROWTH = 32, 12
"""Rows asked at a time: a twelfth of those drawn, so many at least."""
PATIENCE = 2.0
"""A prefix is given up once proving it is expected to waste so many times the answers that it saves: the next ones may save too."""


def longest(sample: Sample, line: Rows, claims: Sequence[Claim], wrong_if: bool) -> Generator[Rows, None, int]:
    """The size of the longest prefix of ``line`` whose claim was proved, with those of all shorter ones.

    An error of the whole needs that the first false claim was proved; that is one claim, whichever it is, and so no probability is
    divided among them (fixed-sequence testing; W. Maurer, L. A. Hothorn and W. Lehmacher, 1995). It holds only because claims are
    made before the first draw, are tested in this order, and nothing is tested after a failure.

    Parameters
    ----------
    line : rows of which no label is known that had to do with ``claims``. claims : of prefixes that grow.
    wrong_if : the label that wrong rows have.
    """
    place = np.full(len(sample.order), len(line), np.int64)
    place[line] = np.arange(len(line))
    drawn = sample.order[place[sample.order] < len(line)]
    places = place[drawn]
    size = 0
    for claim in claims:
        if not (claim.free or (yield from _proved(sample, drawn[places < claim.size], claim, wrong_if, size))):
            break
        size = claim.size
    return size


def _proved(sample: Sample, draws: Rows, claim: Claim, wrong_if: bool, before: int) -> Generator[Rows, None, bool]:
    seen = _known_at_first(sample, draws)
    while True:
        wrong = int(np.count_nonzero(sample.label[draws[:seen]] == wrong_if))
        if claim.proved(seen, wrong):
            return True
        if seen == claim.size:
            return False
        needed = claim.expected(seen, wrong)
        if seen >= FIRST_LOOK and _futile(claim, seen, needed, before):
            return False
        seen = min(claim.size, seen + max(STEP, seen // GROWTH, ((needed or seen) - seen) // 4))
        yield from sample.ask(draws[:seen])


def _known_at_first(sample: Sample, draws: Rows) -> int:
    """How many draws, without a gap, are known already; a shorter prefix needed them."""
    unknown = np.flatnonzero(~sample.known[draws])
    return int(unknown[0]) if unknown.size else len(draws)


def _futile(claim: Claim, seen: int, needed: int | None, before: int) -> bool:
    """Whether the answers that a proof still needs are worth more than what it saves; those beyond ``before`` are needed anyway."""
    return needed is None or (needed - seen) * before / claim.size > PATIENCE * (claim.size - before)
