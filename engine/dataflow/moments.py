"""Sums and sums of squares of what calls took: all that means and their intervals need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..store.tariffs import AT, IN, OUT, PHASE, SECONDS, CallLine


@dataclass(slots=True)
class Moments:
    """Of the calls of one call site whose tokens are known, without those for calibration.

    Parameters
    ----------
    calls : summed up. answered : of these, with an answer of use. began, ended : Unix times.
    """

    calls: int = 0
    answered: int = 0
    tokens_in: float = 0.0
    tokens_in_squares: float = 0.0
    tokens_out: float = 0.0
    tokens_out_squares: float = 0.0
    seconds: float = 0.0
    seconds_squares: float = 0.0
    began: float = math.inf
    ended: float = 0.0

    @property
    def span(self) -> float:
        """Seconds from the first call to the last answer."""
        return max(0.0, self.ended - self.began)

    def add(self, lines: Sequence[CallLine]) -> None:
        """Calls that were answered as usual, many at a time."""
        told = [line for line in lines if line[PHASE] != "calibrate" and line[IN] is not None]
        read, written = [float(line[IN] or 0) for line in told], [float(line[OUT] or 0) for line in told]
        took = [line[SECONDS] for line in told]
        if told:
            self.began = min(self.began, *[line[AT] - line[SECONDS] for line in told])
            self.ended = max(self.ended, *[line[AT] for line in told])
        self.calls += len(told)
        self.answered += len(told)
        self.tokens_in += sum(read)
        self.tokens_in_squares += sum([x * x for x in read])
        self.tokens_out += sum(written)
        self.tokens_out_squares += sum([x * x for x in written])
        self.seconds += sum(took)
        self.seconds_squares += sum([x * x for x in took])

    def useless(self, tokens_in: float, tokens_out: float, seconds: float) -> None:
        """An answer outside its type, which was paid for; the next one is asked for the same input."""
        self.calls += 1
        self.tokens_in += tokens_in
        self.tokens_in_squares += tokens_in**2
        self.tokens_out += tokens_out
        self.tokens_out_squares += tokens_out**2
        self.seconds += seconds
        self.seconds_squares += seconds**2
