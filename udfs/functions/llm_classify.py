"""``LLM_CLASSIFY``: the label, or labels, that fit a row."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import VARCHAR, SqlType, parse_type
from ..models.base import Capabilities, Generate, JsonAnswer, Reply, Request
from ..prompts.inputs import DATA_RULE, fields, input_names, label
from ..prompts.judgement import Judge, log_odds
from ..prompts.labels import CONTENT_FREE, MAX_TOKENS, Labels, Scores, best
from ..spec import Arguments, Ask, Option, Parameter, SemanticFunction, Unprepared

_MULTI_TOKENS = 256


@dataclass(slots=True)
class OneLabelTask:
    """Takes the label that gains most over the model's prior for it (``priors``, once measured)."""

    labels: Labels
    priors: Scores | None = None

    async def prepare(self, ask: Ask) -> None:
        """Ask for the labels of inputs that say nothing, or only a label."""
        if self.priors is None:
            self.priors = await self.labels.priors(ask)

    def preparation(self) -> Sequence[Request]:
        """Those questions."""
        return self.labels.content_free()

    async def run(self, row: Sequence[Any], ask: Ask) -> str:
        """The label."""
        scores = await ask(self.labels.request(row[0]), self.labels.scores)
        return best(scores, self.priors or dict.fromkeys(scores, 0.0))

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """One request."""
        return (self.labels.request(row[0]),)

    def notes(self) -> Mapping[str, str]:
        """The prior per label."""
        if not self.labels.scored:
            return {"labels": "the model's own choice"}
        source = f"mean log-probability over {len(CONTENT_FREE)} content-free inputs and the labels' names"
        if self.priors is None:
            return {"labels": f"gain over the prior per label ({source})"}
        listed = ", ".join(f"{name} {prior:+.2f}" for name, prior in self.priors.items())
        return {"labels": f"gain over the prior per label: {listed} ({source})"}


@dataclass(slots=True)
class EachLabelTask:
    """Several labels, on a model with probabilities: one calibrated yes/no question per label."""

    judges: Mapping[str, Judge]
    priors: Mapping[str, float] | None = None

    async def prepare(self, ask: Ask) -> None:
        """Ask each label's question of content-free inputs."""
        if self.priors is None:
            measured = await asyncio.gather(*(judge.prior(ask) for judge in self.judges.values()))
            self.priors = dict(zip(self.judges, measured, strict=True))

    def preparation(self) -> Sequence[Request]:
        """Those questions."""
        return tuple(request for judge in self.judges.values() for request in judge.content_free())

    async def run(self, row: Sequence[Any], ask: Ask) -> list[str]:
        """The labels that fit, in the order given."""
        odds = await asyncio.gather(*(ask(judge.request(row), log_odds) for judge in self.judges.values()))
        priors = self.priors or {}
        return [name for name, odd in zip(self.judges, odds, strict=True) if odd > priors.get(name, 0.0)]

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """One request per label."""
        return tuple(judge.request(row) for judge in self.judges.values())

    def notes(self) -> Mapping[str, str]:
        """The threshold per label."""
        priors = self.priors or {}
        return {f"threshold of {name}": judge.note(priors.get(name)) for name, judge in self.judges.items()}


@dataclass(frozen=True, slots=True)
class ListTask(Unprepared):
    """Several labels, on a model without probabilities: one list, constrained to the labels."""

    system: str
    name: str
    labels: tuple[str, ...]
    temperature: float
    max_tokens: int

    async def run(self, row: Sequence[Any], ask: Ask) -> list[str]:
        """The labels that fit, in the order given."""
        return await ask(self.requests(row)[0], self._listed)

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request."""
        schema = {
            "type": "object",
            "properties": {"labels": {"type": "array", "items": {"type": "string", "enum": list(self.labels)}}},
            "required": ["labels"],
            "additionalProperties": False,
        }
        answer = JsonAnswer(json.dumps(schema, ensure_ascii=False))
        return (Generate(self.system, fields((self.name,), row), answer, self.temperature, self.max_tokens),)

    def notes(self) -> Mapping[str, str]:
        """Where the labels come from."""
        return {"labels": "the model's own list"}

    def _listed(self, reply: Reply) -> list[str]:
        try:
            answered = json.loads(reply.text)["labels"]
            chosen = {str(name) for name in answered}
        except (ValueError, TypeError, KeyError):
            raise InvalidAnswer("The answer is no list of labels.", answer=reply.text) from None
        if unknown := chosen - set(self.labels):
            raise InvalidAnswer(f"{sorted(unknown)[0]!r} is none of the labels.", answer=reply.text)
        return [name for name in self.labels if name in chosen]


def _labels(declared: Any) -> dict[str, str]:
    """Label → description, from a list of labels or ``{label: 'description'}``."""
    pairs = list(declared.items()) if isinstance(declared, Mapping) else [(name, "") for name in _listed(declared)]
    names = [name.strip() if isinstance(name, str) else name for name, _ in pairs]
    if len(names) < 2 or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ValueError(
            "LLM_CLASSIFY needs at least two different, non-empty labels: ['complaint', 'praise'] or "
            "{complaint: 'the customer is unhappy', praise: 'the customer is happy'}."
        )
    return {name: str(description or "").strip() for name, (_, description) in zip(names, pairs, strict=True)}


def _listed(declared: Any) -> Sequence[Any]:
    return declared if isinstance(declared, (list, tuple)) else ()


def _multi_option(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("multi must be true or false")
    return value


def _type(arguments: Arguments, _: Capabilities) -> SqlType:
    return parse_type("VARCHAR[]") if arguments.options.get("multi") else VARCHAR


def _lower(arguments: Arguments, capabilities: Capabilities) -> OneLabelTask | EachLabelTask | ListTask:
    labels, options = _labels(arguments.constants[1]), arguments.options
    (name,) = input_names(arguments.texts[:1])
    temperature, max_tokens = options.get("temperature") or 0.0, options.get("max_tokens")
    if not options.get("multi"):
        return OneLabelTask(Labels.of(name, labels, capabilities.choice_scores, temperature, max_tokens or MAX_TOKENS))
    if capabilities.choice_scores:
        judges = {known: Judge((name,), _fits(known, labels[known], name), True, temperature) for known in labels}
        return EachLabelTask(judges)
    lines = "\n".join(f"- {known}{f': {words}' if words else ''}" for known, words in labels.items())
    system = (
        "Give every label that fits the input, or none.\n"
        f'{lines}\nAnswer with one JSON object {{"labels": [...]}}. {DATA_RULE}'
    )
    return ListTask(system, name, tuple(labels), temperature, max_tokens or _MULTI_TOKENS)


def _fits(known: str, words: str, name: str) -> str:
    return f'the label "{known}"{f" ({words})" if words else ""} fits the {label(name).lower()}'


FUNCTION = SemanticFunction(
    sql_name="LLM_CLASSIFY",
    aliases=("AI_CLASSIFY", "SEM_CLASSIFY"),
    parameters=(Parameter("input"), Parameter("labels", "constant")),
    options=(Option("multi", _multi_option, "true: every label that fits, as VARCHAR[]"),),
    returns=_type,
    lower=_lower,
    summary="The label that fits the input best, or with multi := true all that fit.",
    example="""
SELECT body, LLM_CLASSIFY(body, ['delivery', 'payment', 'praise']) AS topic
FROM (VALUES ('Where is my parcel?'), ('I was charged twice.')) AS tickets(body)
""".strip(),
)
