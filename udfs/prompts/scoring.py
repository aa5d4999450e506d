"""A condition as a number from 0 to 1: the model's probability of yes less its prior, or the number it gives itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.errors import InvalidAnswer
from ..models.base import Generate, JsonAnswer, Reply
from .calibration import probability
from .inputs import DATA_RULE, fields
from .judgement import AskOdds, Judge, log_odds, spoken
from .pairing import Pairing
from .row_values import RowValues

MAX_TOKENS = 32
_RATED = JsonAnswer(
    json.dumps(
        {
            "type": "object",
            "properties": {"score": {"type": "number", "minimum": 0, "maximum": 1}},
            "required": ["score"],
            "additionalProperties": False,
        }
    )
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How one condition is scored.

    Parameters
    ----------
    judge : the yes/no question; ``judge.scored``: the model gives probabilities, and they are the score.
    max_tokens : of a number that the model gives itself.
    """

    judge: Judge
    max_tokens: int = MAX_TOKENS

    def request(self, values: Sequence[Any]) -> Generate:
        """The question about one row."""
        if self.judge.scored:
            return self.judge.request(values)
        system = (
            f"Give a score from 0 (not at all) to 1 (entirely) for this: {self.judge.condition}\n"
            f'Answer with one JSON object {{"score": number}}. {DATA_RULE}'
        )
        user = fields(self.judge.names, values)
        return Generate(system, user, _RATED, self.judge.temperature, self.max_tokens)

    def content_free(self) -> tuple[Generate, ...]:
        """The requests that :meth:`prior` sends."""
        return self.judge.content_free()

    async def prior(self, ask: AskOdds) -> float:
        """The log-odds that stand for a score of 0.5."""
        return await self.judge.prior(ask)

    def score(self, reply: Reply) -> float:
        """The score of a reply before the prior: log-odds, or the number given.

        Raises
        ------
        InvalidAnswer : there is none from 0 to 1.
        """
        return log_odds(reply) if self.judge.scored else _rating(reply)

    def calibrated(self, score: float, prior: float | None) -> float:
        """The score from 0 to 1."""
        return probability(score - (prior or 0.0)) if self.judge.scored else score

    def note(self, prior: float | None) -> str:
        """Where the number comes from, for EXPLAIN."""
        if not self.judge.scored:
            return "the model's own number from 0 to 1"
        return f"probability of Yes; 0.5 at {self.judge.note(prior)}"

    def spoken(self, output: Any) -> str:
        """An example's score (or true, or false) as the model answers it.

        Raises
        ------
        ValueError : it is none.
        """
        answer = spoken(output)
        return answer if self.judge.scored else json.dumps({"score": float(output)})


@dataclass(slots=True)
class ScoreTask:
    """The task of a function that scores: a row on a scale whose ``prior`` is known once :meth:`prepare` has measured it.

    It also compares rows; ``place`` is the prior of a place in that question, from :meth:`prepare_pairs`.
    """

    scale: Scale
    values: RowValues
    prior: float | None = None
    place: float | None = None

    async def prepare(self, ask: AskOdds) -> None:
        """Ask the condition of content-free inputs."""
        if self.prior is None:
            self.prior = await self.scale.prior(ask)

    def preparation(self) -> Sequence[Generate]:
        """Those content-free questions."""
        return self.scale.content_free()

    async def run(self, row: Sequence[Any], ask: AskOdds) -> float | None:
        """The row's score."""
        values = self.values.of(row)
        if None in values:
            return None
        return self.scale.calibrated(await ask(self.scale.request(values), self.scale.score), self.prior)

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request."""
        return (self.scale.request(self.values.of(row)),)

    async def prepare_pairs(self, ask: AskOdds) -> None:
        """Ask which of two equal inputs is the better one."""
        if self.place is None:
            self.place = await self._pairing.prior(ask)

    async def compare(self, first: Sequence[Any], second: Sequence[Any], ask: AskOdds) -> float:
        """The probability that the condition fits the first row better."""
        return await self._pairing.compare(first, second, ask, self.place or 0.0)

    def pair(self, first: Sequence[Any], second: Sequence[Any]) -> Generate:
        """The request that :meth:`compare` sends."""
        return self._pairing.request(first, second)

    @property
    def _pairing(self) -> Pairing:
        return Pairing(self.scale.judge, self.values)

    def notes(self) -> Mapping[str, str]:
        """What a score stands for."""
        return {"score": self.scale.note(self.prior)}

    def example_answer(self, output: Any) -> str:
        """Yes or No, or a score."""
        return self.scale.spoken(output)


def _rating(reply: Reply) -> float:
    try:
        score = float(json.loads(reply.text)["score"])
    except (ValueError, TypeError, KeyError):
        raise InvalidAnswer("The answer has no score.", answer=reply.text) from None
    if not 0 <= score <= 1:
        raise InvalidAnswer("The score is not from 0 to 1.", answer=reply.text)
    return score
