"""``LLM_SENTIMENT``: whether a text is positive, negative, neutral or mixed, as a whole or on each of several aspects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.types import VARCHAR, SqlType, parse_type, struct_of
from ..models.base import Capabilities, Generate, Reply, Request
from ..prompts.inputs import DATA_RULE, fields, input_names
from ..prompts.labels import MAX_TOKENS, Labels
from ..prompts.row_values import RowValues
from ..prompts.typed_answer import constraint, parse_reply, spoken
from ..spec import DYNAMIC, Arguments, Ask, Option, Parameter, SemanticFunction, Unprepared

_LABELS = ("positive", "negative", "neutral", "mixed")
_DESCRIBED = {
    "positive": "the text likes or praises",
    "negative": "the text dislikes or complains",
    "neutral": "the text judges nothing",
    "mixed": "the text praises one thing and complains of another",
}
_WHOLE = " (the input as a whole)"
_ASPECT_TOKENS = 256


@dataclass(frozen=True, slots=True)
class WholeTask(Unprepared):
    """One of the four labels for the whole text: the likeliest as the model has it.

    Unlike LLM_CLASSIFY it is not calibrated: an input that says nothing is rightly neutral, so that label's prior is no
    bias. On twelve short texts the small default model had 7 right as they came and 5 over its priors.
    """

    labels: Labels
    values: RowValues

    async def run(self, row: Sequence[Any], ask: Ask) -> str | None:
        """The label."""
        (text,) = self.values.of(row)
        if text is None:
            return None
        scores = await ask(self.labels.request(text), self.labels.scores)
        return max(scores, key=lambda label: scores[label])

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """One request."""
        return (self.labels.request(self.values.of(row)[0]),)

    def notes(self) -> Mapping[str, str]:
        """Where the label comes from."""
        return {"sentiment": "the label that the model finds likeliest"}

    def example_answer(self, output: Any) -> str:
        """The label."""
        return self.labels.spoken(output)


@dataclass(frozen=True, slots=True)
class AspectsTask(Unprepared):
    """One call for all aspects of a text; one that it says nothing of is NULL."""

    type: SqlType
    system: str
    name: str
    values: RowValues
    temperature: float
    max_tokens: int

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """A label, or ``None``, per aspect."""
        if None in self.values.of(row):
            return None
        return await ask(self.requests(row)[0], self._struct)

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request."""
        user = fields((self.name,), self.values.of(row))
        return (Generate(self.system, user, constraint(self.type), self.temperature, self.max_tokens),)

    def notes(self) -> Mapping[str, str]:
        """Where the labels come from."""
        return {"sentiment": "the model's own choice per aspect"}

    def example_answer(self, output: Any) -> str:
        """The struct as JSON."""
        return spoken(output, self.type)

    def _struct(self, reply: Reply) -> Any:
        return parse_reply(reply, self.type)


def _aspects(value: Any) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value if isinstance(name, str)) if isinstance(value, (list, tuple)) else ()
    if not names or len(names) < len(value) or not all(names) or len({name.lower() for name in names}) < len(names):
        raise ValueError("takes a list of different, non-empty names, such as ['price', 'service']")
    return names


def _type(arguments: Arguments) -> SqlType:
    aspects = arguments.options.get("aspects")
    return struct_of(dict.fromkeys(aspects, "VARCHAR")) if aspects else VARCHAR


def _lower(arguments: Arguments, capabilities: Capabilities) -> WholeTask | AspectsTask:
    options = arguments.options
    (name,) = input_names(arguments.texts)
    values = RowValues(arguments.constants, (arguments.constants[0] is DYNAMIC,))
    temperature, max_tokens = options.get("temperature") or 0.0, options.get("max_tokens")
    if options.get("aspects"):
        return _by_aspect(options["aspects"], name, values, temperature, max_tokens or _ASPECT_TOKENS)
    labels = {label: "" if capabilities.choice_scores else _DESCRIBED[label] for label in _LABELS}
    asked = Labels.of(name, labels, capabilities.choice_scores, temperature, max_tokens or MAX_TOKENS)
    return WholeTask(asked, values)


def _by_aspect(
    aspects: Sequence[str], name: str, values: RowValues, temperature: float, max_tokens: int
) -> AspectsTask:
    listed = ", ".join(f"'{label}'" for label in _LABELS)
    asked = struct_of(dict.fromkeys(aspects, parse_type(f"ENUM({listed})")))
    system = "\n".join(
        (
            "Give the sentiment of the input on each of these aspects:",
            *(f"- {aspect}{_WHOLE if aspect.lower() == 'overall' else ''}" for aspect in aspects),
            *(f"{label}: {words}." for label, words in _DESCRIBED.items()),
            "An aspect that the input says nothing of is null.",
            f"Answer with one JSON object with these keys. {DATA_RULE}",
        )
    )
    return AspectsTask(asked, system, name, values, temperature, max_tokens)


FUNCTION = SemanticFunction(
    sql_name="LLM_SENTIMENT",
    aliases=("AI_SENTIMENT", "AI_ANALYZE_SENTIMENT", "SEM_SENTIMENT"),
    parameters=(Parameter("input"),),
    options=(
        Option(
            "aspects",
            _aspects,
            "sentiment on each: a STRUCT with a field of that name per aspect, NULL where the text says nothing of it",
        ),
    ),
    returns=lambda arguments, _: _type(arguments),
    closed_answers=True,
    lower=_lower,
    summary="The sentiment of a text: positive, negative, neutral or mixed.",
    example="""
SELECT LLM_SENTIMENT(body) AS mood, LLM_SENTIMENT(body, aspects := ['price', 'delivery']).delivery AS delivery
FROM (VALUES ('Cheap, but it came two weeks late.')) AS tickets(body)
""".strip(),
)
