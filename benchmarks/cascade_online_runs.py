"""One run of an online cascade over a stream, row by row, and what would have been best in hindsight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anserdb.optimizer.cascades.online.cascade import Aim, Example, OnlineCascade, OnlineReport
from anserdb.optimizer.cascades.online.examples import LevelName
from anserdb.optimizer.cascades.online.hashing import Hasher

from .cascade_online_streams import Stream

WINDOW = 1_000
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ordered:
    """A stream in one order, and what the reference says of it."""

    examples: Sequence[Example]
    labels: Ints
    said: Ints
    classes: int

    def first(self, rows: int) -> Ordered:
        """The beginning of it."""
        return Ordered(self.examples[:rows], self.labels[:rows], self.said[:rows], self.classes)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it: the answers given out, whom the reference answered, and whose own answer it would contradict."""

    ordered: Ordered
    answers: Ints
    asked: Bools
    contradicted: Bools
    report: OnlineReport

    @property
    def agreement(self) -> float:
        """Share of rows answered as the reference answers them."""
        return float((self.answers == self.ordered.said).mean())

    @property
    def share(self) -> float:
        """Of rows that the reference answered, audits included."""
        return float(self.asked.mean())

    @property
    def audits(self) -> float:
        """Share of rows that it answered although a level was sure of them."""
        report = self.report
        return sum(level.asked for level in report.levels) / report.rows

    @property
    def gain(self) -> float:
        """Points of accuracy against true labels above the reference's own."""
        return 100 * float(
            (self.answers == self.ordered.labels).mean() - (self.ordered.said == self.ordered.labels).mean()
        )

    @property
    def covered(self) -> bool:
        """Whether the reported interval has the agreement."""
        low, high = self.report.interval
        return low - 1e-9 <= self.agreement <= high + 1e-9

    def worst(self, against: str) -> float:
        """Points below the reference in the worst window of rows: in agreement with it ("reference"), or against true "labels"."""
        truth = self.ordered.said if against == "reference" else self.ordered.labels
        lost = (self.ordered.said == truth).astype(int) - (self.answers == truth)
        sums = np.concatenate([[0], np.cumsum(lost)])
        return 100 * float((sums[WINDOW:] - sums[:-WINDOW]).max()) / WINDOW


@lru_cache(maxsize=1)
def hasher() -> Hasher:
    """One for all runs: hashing is not what is compared."""
    return Hasher(40_000)


def ordered(stream: Stream, seed: int, *, embedded: bool, order: Ints | None = None) -> Ordered:
    """Rows in an order (by chance, if none is given), with keys of their own."""
    if order is None:
        order = np.random.default_rng([seed, 1]).permutation(len(stream.texts))
    vectors: Any = stream.embeddings if embedded else None
    examples = [Example(f"{seed} {n}", stream.texts[n], None if vectors is None else vectors[n]) for n in order]
    return Ordered(examples, stream.labels[order], stream.reference(seed)[order], stream.classes)


def online(
    rows: Ordered,
    quality: float,
    seed: int,
    *,
    levels: Sequence[LevelName] = ("hashed",),
    together: int = 64,
    audit: float = 0.02,
) -> Run:
    """All rows through one cascade that starts from nothing."""
    cascade = OnlineCascade(range(rows.classes), Aim(quality, audit), levels=levels, seed=seed, hasher=hasher())
    answers, asked = rows.said.copy(), np.ones(len(rows.said), bool)
    contradicted = np.zeros(len(rows.said), bool)
    for first in range(0, len(answers), together):
        batch = rows.examples[first : first + together]
        decisions = cascade.decide(batch)
        for place, decision in enumerate(decisions, first):
            asked[place] = decision.asks
            contradicted[place] = decision.answer is not None and decision.answer != rows.said[place]
            if not decision.asks:
                assert isinstance(decision.answer, int)
                answers[place] = decision.answer
        cascade.learn(batch, decisions, {n: int(rows.said[first + n]) for n, d in enumerate(decisions) if d.asks})
    return Run(rows, answers, asked, contradicted, cascade.report())
