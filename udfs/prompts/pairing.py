"""Which of two rows does a condition fit better: the question, its reading as a probability, and what a place is worth."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ...engine.errors import InvalidAnswer
from ..models.base import ChoiceAnswer, Generate, Reply
from .calibration import probability
from .inputs import DATA_RULE, fields
from .judgement import CERTAIN, AskOdds, Judge
from .question import question
from .row_values import RowValues

FIRST, SECOND = "A", "B"
NEUTRAL = ("N/A", "Yes.", "No.")
"""Inputs given to both sides: what a model then says is about the places alone."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """How two rows are compared by one condition.

    Parameters
    ----------
    judge : the condition, and what it is asked with. values : which inputs a row has; the others stand once, for both.
    """

    judge: Judge
    values: RowValues

    def request(self, first: Sequence[Any], second: Sequence[Any]) -> Generate:
        """The question about two rows; in the other order it is another question."""
        judge, values = self.judge, self.values
        both = tuple(zip(judge.names, values.of(first), values.of(second), values.dynamic, strict=True))
        shared = [(name, value) for name, value, _, own in both if not own]
        a = [(f"{FIRST} {name}", value) for name, value, _, own in both if own]
        b = [(f"{SECOND} {name}", value) for name, _, value, own in both if own]
        names, inputs = zip(*shared, *a, *b, strict=True)
        words = f"{question(judge.condition)} Of which is this more true, {FIRST} or {SECOND}?"
        system = f"Answer {FIRST} or {SECOND}." if judge.scored else f"Answer {FIRST} or {SECOND}. {DATA_RULE}"
        answer = ChoiceAnswer((FIRST, SECOND), judge.scored)
        return Generate(system, f"{words}\n\n{fields(names, inputs)}", answer, judge.temperature, judge.max_tokens)

    def content_free(self) -> tuple[Generate, ...]:
        """The requests that :meth:`prior` sends: the same on both sides."""
        row = sum(self.values.dynamic)
        return tuple(self.request((text,) * row, (text,) * row) for text in NEUTRAL) if self.judge.scored else ()

    async def prior(self, ask: AskOdds) -> float:
        """The log-odds that the first place is given for nothing; 0 where the model gives none."""
        odds = await asyncio.gather(*(ask(request, odds_of_first) for request in self.content_free()))
        return fmean(odds) if odds else 0.0

    async def compare(self, first: Sequence[Any], second: Sequence[Any], ask: AskOdds, prior: float) -> float:
        """The probability that the condition fits the first row better."""
        odds = await ask(self.request(first, second), odds_of_first)
        return probability(odds - prior) if self.judge.scored else float(odds > 0)


def odds_of_first(reply: Reply) -> float:
    """Natural log-odds of the first; plus or minus ``CERTAIN`` for an answer without probabilities.

    Raises
    ------
    InvalidAnswer : the answer is neither.

    >>> odds_of_first(Reply("B", scores={"A": -2.5, "B": -0.5}))
    -2.0
    """
    if reply.scores:
        return reply.scores[FIRST] - reply.scores[SECOND]
    if reply.text not in (FIRST, SECOND):
        raise InvalidAnswer(f"The answer is neither {FIRST} nor {SECOND}.", answer=reply.text)
    return CERTAIN if reply.text == FIRST else -CERTAIN
