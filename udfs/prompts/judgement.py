"""Yes/no questions about delimited inputs: the request, its reading as log-odds, and the model's prior."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ...engine.errors import InvalidAnswer
from ..models.base import ChoiceAnswer, Generate, Reply
from .calibration import OPPOSITES, midpoint
from .inputs import DATA_RULE, controlled, fields
from .question import question

YES, NO = "Yes", "No"
# Natural log-odds that stand for an answer given without probabilities.
CERTAIN = 20.0
MAX_TOKENS = 16
AskOdds = Callable[[Generate, Callable[[Reply], float]], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Judge:
    """How one condition is asked.

    Parameters
    ----------
    names : of the inputs.
    condition : the user's words; "" when each row brings its own, before its inputs.
    scored : the model gives log-probabilities, so its prior can be corrected.
    temperature, max_tokens : of the answer.
    """

    names: tuple[str, ...]
    condition: str
    scored: bool
    temperature: float = 0.0
    max_tokens: int = MAX_TOKENS

    def request(self, values: Sequence[Any]) -> Generate:
        """The question about one row."""
        condition, inputs = (self.condition, values) if self.condition else (controlled(str(values[0])), values[1:])
        # The instruction comes first: rows share it, and servers with a prefix cache read it once.
        user = "\n\n".join(part for part in (question(condition), fields(self.names, inputs)) if part)
        # A model that is asked for probabilities reads no rules: more words before the question only blur a small one.
        system = f"Answer {YES} or {NO}." if self.scored or not self.names else f"Answer {YES} or {NO}. {DATA_RULE}"
        return Generate(system, user, ChoiceAnswer((YES, NO), self.scored), self.temperature, self.max_tokens)

    def content_free(self) -> tuple[Generate, ...]:
        """The requests that :meth:`prior` sends: every input replaced by the same content-free answer."""
        if not (self.scored and self.condition and self.names):
            return ()
        return tuple(self.request((answer,) * len(self.names)) for pair in OPPOSITES for answer in pair)

    async def prior(self, ask: AskOdds) -> float:
        """The log-odds at which yes and no balance; 0 where there is nothing to calibrate with."""
        requests = self.content_free()
        odds = await asyncio.gather(*(ask(request, log_odds) for request in requests))
        return midpoint(odds) if odds else 0.0

    def note(self, prior: float | None) -> str:
        """The threshold for EXPLAIN; ``None``: not measured yet."""
        if not self.scored:
            return "the model's own Yes or No"
        if not self.content_free():
            return "log-odds of Yes above 0 (not calibrated: no input apart from the condition)"
        source = f"midpoint of {len(OPPOSITES)} opposite pairs of content-free inputs"
        return f"log-odds of Yes above the {source}" if prior is None else f"log-odds of Yes > {prior:+.2f} ({source})"


def spoken(output: Any) -> str:
    """An example's output as the model answers a yes/no question: true and false, or a score from 0 to 1.

    Raises
    ------
    ValueError : it is neither.

    >>> spoken(True), spoken(0.2)
    ('Yes', 'No')
    """
    if isinstance(output, bool):
        return YES if output else NO
    if isinstance(output, (int, float, Decimal)) and 0 <= output <= 1:
        return YES if output >= 0.5 else NO
    raise ValueError(f"the output of an example must be true or false, not {output!r}.")


def log_odds(reply: Reply) -> float:
    """Natural log-odds of yes; plus or minus ``CERTAIN`` for an answer without probabilities.

    Raises
    ------
    InvalidAnswer : the answer is neither yes nor no.

    >>> log_odds(Reply("Yes", scores={"Yes": -0.5, "No": -2.5}))
    2.0
    """
    if reply.scores:
        return reply.scores[YES] - reply.scores[NO]
    if reply.text not in (YES, NO):
        raise InvalidAnswer(f"The answer is neither {YES} nor {NO}.", answer=reply.text)
    return CERTAIN if reply.text == YES else -CERTAIN
