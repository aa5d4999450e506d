"""Which of a call's rows its proxy may answer: asks for the reference's answers to a few of them, and proves the promise."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping, Sequence

import numpy as np

from ...engine.plan.cascade import Guarantee
from .certificate import Bound, Certificate, Flags, Floats, Outcome, Prices, Rows
from .draws import Key, digest_of, drawn_by_chance
from .estimates import bounds_of
from .proving import proven
from .refusal import refusal
from .sample import Sample
from .sides import Sides

METHOD = "betting on draws without replacement, prefixes in fixed sequence"


class Calibration:
    """Asks for answers of the reference until it knows which rows the proxy may answer. Does no I/O.

    The rows are what is certified: a row that occurs twice is to be given twice. What the reference said of a row of the sample is
    that row's answer.

    Parameters
    ----------
    answers : the proxy's, row by row; of precision and recall nothing is read from them.
    confidences : of accuracy: how sure the proxy is of its answer, on any scale that grows; of precision and recall: how sure it is of
        TRUE. NaN: it gave no answer, the reference will. guarantee : what is to hold of all rows.
    keys : what a row is drawn by, with the ``seed``: the same ones are drawn when a query is run again.
    prices : of an answer of either; with them a cascade that cannot pay is not begun.

    Raises
    ------
    ValueError : the sequences have different lengths, or nothing is promised, or accuracy and another metric are.

    >>> rows = range(1000)
    >>> calibration = Calibration([True] * 1000, [1.0] * 1000, Guarantee(accuracy=0.9, delta=0.1), keys=[str(row) for row in rows])
    >>> while wanted := calibration.wants():
    ...     calibration.tell({row: True for row in wanted})
    >>> certificate = calibration.outcome().certificate
    >>> certificate.bounds[0].certified, certificate.reference_share < 0.1
    (0.9, True)
    """

    def __init__(
        self,
        answers: Sequence[Hashable | None],
        confidences: Sequence[float] | Floats,
        guarantee: Guarantee,
        *,
        keys: Sequence[Key],
        seed: int = 0,
        prices: Prices | None = None,
    ) -> None:
        if not len(answers) == len(confidences) == len(keys):
            raise ValueError(
                f"{len(answers)} answers, {len(confidences)} confidences and {len(keys)} keys do not fit together."
            )
        self._answers, self._keys, self._guarantee = answers, keys, guarantee
        self._of_accuracy = _checked(guarantee)
        order, place = drawn_by_chance(keys, seed)
        self._sample = Sample(order)
        line = _line(np.asarray(confidences, np.float64), place)
        self._reason = refusal(len(keys), guarantee, prices)
        self._sides = Sides(line[:0], line[:0])
        self._work = self._worked(line)
        self._told: dict[int, bool] = {}
        self._wanted: Rows | None = line[:0]
        self._advance()

    def wants(self) -> Sequence[int]:
        """Rows whose answers by the reference it needs next; empty: it knows enough."""
        return [] if self._wanted is None else [int(row) for row in self._wanted if int(row) not in self._told]

    def tell(self, said: Mapping[int, Hashable | None]) -> None:
        """What the reference said of rows it wanted (``None``: NULL), all or some of them. Of others nothing is heard."""
        if self._wanted is None:
            return
        wanted = {int(row) for row in self._wanted}
        self._told.update({row: self._label(row, answer) for row, answer in said.items() if row in wanted})
        if len(self._told) == len(wanted):
            self._sample.learn(self._wanted, np.array([self._told[int(row)] for row in self._wanted], np.bool_))
            self._told = {}
            self._advance()

    def outcome(self) -> Outcome:
        """Whose answers hold, and what is certified of them.

        Raises
        ------
        RuntimeError : it still wants answers.
        """
        if self._wanted is not None:
            raise RuntimeError(f"{len(self.wants())} answers of the reference are still to be told.")
        by_proxy = self._by_proxy(self._sides.accepted) | self._by_proxy(self._sides.rejected)
        return Outcome(by_proxy, self._final(by_proxy), self._certificate(by_proxy))

    def _advance(self) -> None:
        self._wanted = next(self._work, None)

    def _worked(self, line: Rows) -> Generator[Rows, None, None]:
        if self._reason:
            return
        self._sides = yield from proven(self._sample, line, self._guarantee)
        if not len(self._sides.accepted) + len(self._sides.rejected):
            self._reason = "the sample does not prove the promise of any rows that the proxy could answer"

    def _label(self, row: int, said: Hashable | None) -> bool:
        if self._of_accuracy:
            return self._answers[row] == said
        return said is not None and bool(said)

    def _by_proxy(self, side: Rows) -> Flags:
        flags: Flags = np.zeros(len(self._keys), np.bool_)
        flags[side] = True
        return flags & ~self._sample.known

    def _final(self, by_proxy: Flags) -> list[Hashable | None]:
        final: list[Hashable | None] = [None] * len(by_proxy)
        if self._of_accuracy:
            for row in np.flatnonzero(by_proxy).tolist():
                final[row] = self._answers[row]
            return final
        for side, answer in ((self._sides.accepted, True), (self._sides.rejected, False)):
            for row in side[~self._sample.known[side]].tolist():
                final[row] = answer
        return final

    def _certificate(self, by_proxy: Flags) -> Certificate:
        asked = np.flatnonzero(self._sample.known)
        count = int(np.count_nonzero(by_proxy))
        bounds: tuple[Bound, ...] = bounds_of(self._guarantee, self._sample, self._sides)
        return Certificate(
            guarantee=self._guarantee,
            bounds=bounds,
            rows=len(by_proxy),
            by_proxy=count,
            by_reference=len(by_proxy) - count,
            labels=len(asked),
            method=METHOD,
            sample_digest=digest_of(self._keys, asked),
            reason="" if count else self._reason or "the sample answered every row that the proxy could have",
        )


def _checked(guarantee: Guarantee) -> bool:
    """Whether it is one of accuracy."""
    others = guarantee.precision is not None or guarantee.recall is not None
    if (guarantee.accuracy is not None) == others:
        raise ValueError("A guarantee is of accuracy, or of precision, recall or both.")
    return not others


def _line(confidences: Floats, place: Rows) -> Rows:
    """Rows that have a confidence, surest first; equals by chance."""
    rows = np.flatnonzero(~np.isnan(confidences))
    return rows[np.lexsort((place[rows], -confidences[rows]))]
