"""``LLM_SCORE``: how likely a condition in plain words holds for a row, from 0 to 1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import DOUBLE
from ..models.base import Capabilities, Generate, JsonAnswer, Reply, Request
from ..prompts.calibration import probability
from ..prompts.inputs import DATA_RULE, fields, input_names
from ..prompts.judgement import Judge, log_odds
from ..prompts.row_values import RowValues
from ..prompts.template import instruction
from ..spec import DYNAMIC, Arguments, Ask, Parameter, SemanticFunction, Unprepared

_MAX_TOKENS = 32
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


@dataclass(slots=True)
class ProbabilityTask:
    """For models with probabilities: the log-odds of yes less their prior, through the logistic function."""

    judge: Judge
    values: RowValues
    prior: float | None = None

    async def prepare(self, ask: Ask) -> None:
        """Ask the condition of content-free inputs."""
        if self.prior is None:
            self.prior = await self.judge.prior(ask)

    def preparation(self) -> Sequence[Request]:
        """Those content-free questions."""
        return self.judge.content_free()

    async def run(self, row: Sequence[Any], ask: Ask) -> float | None:
        """The calibrated probability that the condition holds."""
        values = self.values.of(row)
        if None in values:
            return None
        return probability(await ask(self.judge.request(values), log_odds) - (self.prior or 0.0))

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """One request."""
        return (self.judge.request(self.values.of(row)),)

    def notes(self) -> Mapping[str, str]:
        """What a score of 0.5 stands for."""
        return {"score": f"probability of Yes; 0.5 at {self.judge.note(self.prior)}"}


@dataclass(frozen=True, slots=True)
class RatingTask(Unprepared):
    """For models without probabilities: the number they give."""

    system: str
    names: tuple[str, ...]
    values: RowValues
    temperature: float
    max_tokens: int

    async def run(self, row: Sequence[Any], ask: Ask) -> float | None:
        """The model's rating."""
        if None in self.values.of(row):
            return None
        return await ask(self.requests(row)[0], _rating)

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request."""
        user = fields(self.names, self.values.of(row))
        return (Generate(self.system, user, _RATED, self.temperature, self.max_tokens),)

    def notes(self) -> Mapping[str, str]:
        """Where the number comes from."""
        return {"score": "the model's own number from 0 to 1"}


def _rating(reply: Reply) -> float:
    try:
        score = float(json.loads(reply.text)["score"])
    except (ValueError, TypeError, KeyError):
        raise InvalidAnswer("The answer has no score.", answer=reply.text) from None
    if not 0 <= score <= 1:
        raise InvalidAnswer("The score is not from 0 to 1.", answer=reply.text)
    return score


def _lower(arguments: Arguments, capabilities: Capabilities) -> ProbabilityTask | RatingTask:
    condition, options = arguments.constants[0], arguments.options
    if not isinstance(condition, str) or not condition.strip():
        raise ValueError("LLM_SCORE needs its condition as a text literal: LLM_SCORE('the customer is angry', body).")
    names = input_names(arguments.texts[1:])
    inputs = arguments.constants[1:]
    values = RowValues(inputs, tuple(value is DYNAMIC for value in inputs))
    words = instruction(condition, names, arguments.texts[1:])
    temperature = options.get("temperature") or 0.0
    if capabilities.choice_scores:
        return ProbabilityTask(Judge(names, words, True, temperature), values)
    system = (
        f"Give a score from 0 (not at all) to 1 (entirely) for this: {words}\n"
        f'Answer with one JSON object {{"score": number}}. {DATA_RULE}'
    )
    return RatingTask(system, names, values, temperature, options.get("max_tokens") or _MAX_TOKENS)


FUNCTION = SemanticFunction(
    sql_name="LLM_SCORE",
    aliases=("AI_SCORE", "SEM_SCORE"),
    parameters=(Parameter("condition", "constant"), Parameter("input"), Parameter("input", variadic=True)),
    returns=lambda _arguments, _capabilities: DOUBLE,
    lower=_lower,
    summary="How likely a condition in plain words holds for the inputs, from 0 to 1.",
    example="""
SELECT body
FROM (VALUES ('Where is my parcel? I have written three times!'), ('Thank you, all is well.')) AS tickets(body)
ORDER BY LLM_SCORE('the customer is angry', body) DESC
LIMIT 1
""".strip(),
)
