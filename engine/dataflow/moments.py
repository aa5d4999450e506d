"""Sums and sums of squares of what calls took: all that means and their intervals need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul, sub

from ..store.tariffs import IN, PHASE, CallLine


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
        if not told:
            return
        _, at, _, _, read, written, _, took, *_ = zip(*told, strict=True)
        if None in written:
            written = tuple(each or 0 for each in written)
        self.began = min(self.began, min(map(sub, at, took)))
        self.ended = max(self.ended, max(at))
        self.calls += len(told)
        self.answered += len(told)
        self.tokens_in += sum(read)
        self.tokens_in_squares += sum(map(mul, read, read))
        self.tokens_out += sum(written)
        self.tokens_out_squares += sum(map(mul, written, written))
        self.seconds += sum(took)
        self.seconds_squares += sum(map(mul, took, took))

    def useless(self, tokens_in: float, tokens_out: float, seconds: float) -> None:
        """An answer outside its type, which was paid for; the next one is asked for the same input."""
        self.calls += 1
        self.tokens_in += tokens_in
        self.tokens_in_squares += tokens_in**2
        self.tokens_out += tokens_out
        self.tokens_out_squares += tokens_out**2
        self.seconds += seconds
        self.seconds_squares += seconds**2
