"""Whether rows have changed: what was seen lately against what was seen before, at every cut that is still known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import Counts

SURPRISE = 24.0
"""Twice the log-likelihood ratio that means a change: one in a million cuts of rows that do not change. A query looks at
thousands (contexts, cuts and micro-batches), so a false alarm comes once in hundreds of queries."""
ENOUGH = 12
"""Rows on either side of a cut; a ratio of fewer follows no law."""
SAME_SIZE = 3
"""Buckets of one size that are kept apart; with more, the two oldest become one of twice the size."""


@dataclass(slots=True)
class History:
    """What was seen, newest last, in buckets whose sizes grow with age: logarithmically many, whatever the table."""

    predicates: int
    contexts: int | None = None
    buckets: list[Counts] = field(default_factory=list)

    def total(self) -> Counts:
        """All of it."""
        found = Counts.none(self.predicates, self.contexts)
        for bucket in self.buckets:
            found = found.merged(bucket)
        return found

    def add(self, batch: Counts) -> bool:
        """A new micro-batch; whether it shows a change. What was before the change is forgotten then."""
        batch.batches = 1
        self.buckets.append(batch)
        cut = self._cut()
        if cut:
            del self.buckets[:cut]
        self._merge()
        return bool(cut)

    def _cut(self) -> int:
        """How many of the oldest buckets were of other rows."""
        total, before = self.total(), Counts.none(self.predicates, self.contexts)
        best, found = SURPRISE, 0
        for number, bucket in enumerate(self.buckets[:-1], 1):
            before = before.merged(bucket)
            surprise = _surprise(before.asked, before.on, total.asked - before.asked, total.on - before.on)
            if surprise > best:
                best, found = surprise, number
        return found

    def _merge(self) -> None:
        size = 1
        while len(same := [i for i, b in enumerate(self.buckets) if size <= b.batches < 2 * size]) > SAME_SIZE:
            first = same[0]
            self.buckets[first : first + 2] = [self.buckets[first].merged(self.buckets[first + 1])]
            size *= 2


def _surprise(asked: NDArray[Any], on: NDArray[Any], later_asked: NDArray[Any], later_on: NDArray[Any]) -> float:
    """The largest of all contexts."""
    both = (asked >= ENOUGH) & (later_asked >= ENOUGH)
    if not both.any():
        return 0.0
    n, k, m, j = asked[both], on[both], later_asked[both], later_on[both]
    ratio = _log_likelihood(n, k) + _log_likelihood(m, j) - _log_likelihood(n + m, k + j)
    return float(2 * ratio.max())


def _log_likelihood(asked: NDArray[Any], on: NDArray[Any]) -> NDArray[Any]:
    """Of the observed rate; 0 log 0 = 0."""
    off = asked - on
    tiny = 1e-300
    value: NDArray[Any] = on * np.log(np.maximum(on, tiny) / asked) + off * np.log(np.maximum(off, tiny) / asked)
    return value
