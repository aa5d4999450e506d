"""``LLM_CLASSIFY``: the label, or labels, that fit a row."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...engine.errors import BindError, DataError, InvalidAnswer
from ...engine.types import VARCHAR, SqlType, parse_type
from ..models.base import Capabilities, Generate, JsonAnswer, Reply, Request
from ..prompts.inputs import DATA_RULE, fields, input_names, label
from ..prompts.judgement import Judge, log_odds
from ..prompts.labels import CONTENT_FREE, MAX_TOKENS, Labels, Scores, best
from ..prompts.row_values import RowValues
from ..spec import DYNAMIC, Arguments, Ask, Option, Parameter, SemanticFunction, Unprepared, Weighed

_MULTI_TOKENS = 256
_REMEMBERED = 1000
_LABEL_KINDS = ("list", "array", "struct", "map", "varchar")  # VARCHAR: no type is known yet


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
        label: str = (await self.weigh(row, ask)).value
        return label

    @property
    def weighs(self) -> bool:
        """Whether the label is read off probabilities."""
        return self.labels.scored

    async def weigh(self, row: Sequence[Any], ask: Ask) -> Weighed:
        """The label, and how much more it gained over the prior than the next one."""
        scores = await ask(self.labels.request(row[0]), self.labels.scores)
        priors = self.priors or dict.fromkeys(scores, 0.0)
        label = best(scores, priors)
        gains = sorted((scores[name] - priors[name] for name in scores), reverse=True)
        return Weighed(label, gains[0] - gains[1])

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

    def example_answer(self, output: Any) -> str:
        """The label, as it is asked for."""
        return self.labels.spoken(output)


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

    def example_answer(self, output: Any) -> str:
        """Never asked for: examples are lists, and these questions are not (see ``_task``)."""
        raise ValueError(f"an example cannot be shown as {output!r}.")


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

    def example_answer(self, output: Any) -> str:
        """The list in its object."""
        if not isinstance(output, (list, tuple)) or not set(output) <= set(self.labels):
            raise ValueError(f"the output of an example must be a list of some of the labels, not {output!r}.")
        return json.dumps({"labels": list(output)}, ensure_ascii=False)

    def _listed(self, reply: Reply) -> list[str]:
        try:
            answered = json.loads(reply.text)["labels"]
            chosen = {str(name) for name in answered}
        except (ValueError, TypeError, KeyError):
            raise InvalidAnswer("The answer is no list of labels.", answer=reply.text) from None
        if unknown := chosen - set(self.labels):
            raise InvalidAnswer(f"{sorted(unknown)[0]!r} is none of the labels.", answer=reply.text)
        return [name for name in self.labels if name in chosen]


ClassifyTask = OneLabelTask | EachLabelTask | ListTask


@dataclass(slots=True)
class RowLabelsTask(Unprepared):
    """Each row brings its labels: as many tasks as there are sets of them, each calibrated when its first row comes.

    Parameters
    ----------
    make : the task for a set of labels. values : which arguments a row supplies.
    """

    make: Callable[[Mapping[str, str]], ClassifyTask]
    values: RowValues
    made: dict[tuple[tuple[str, str], ...], ClassifyTask] = field(default_factory=dict)

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The label, or labels, of the row's own."""
        task, value = self._of(row)
        if task is None:
            return None
        await task.prepare(ask)
        return await task.run((value,), ask)

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """The question itself; calibration comes once per set of labels."""
        task, value = self._of(row)
        return task.requests((value,)) if task is not None else ()

    def notes(self) -> Mapping[str, str]:
        """Where the labels come from."""
        return {"labels": "of each row"}

    def example_answer(self, output: Any) -> str:
        """As with the labels of all rows, where only the input is a literal."""
        declared = self.values.constants[1]
        if declared is DYNAMIC:
            raise ValueError("LLM_CLASSIFY takes examples only with labels that are the same for all rows.")
        return self.make(_labels(declared)).example_answer(output)

    def _of(self, row: Sequence[Any]) -> tuple[ClassifyTask | None, Any]:
        value, declared = self.values.of(row)
        if value is None or declared is None:
            return None, None
        try:
            labels = _labels(_each_once(declared) if isinstance(declared, list) else declared)
        except ValueError as error:
            raise DataError(f"{error} The row has {declared!r}.") from None
        key = tuple(labels.items())
        if key not in self.made:
            if len(self.made) >= _REMEMBERED:
                self.made.clear()
            self.made[key] = self.make(labels)
        return self.made[key], value


def _each_once(names: Sequence[Any]) -> list[Any]:
    """A column's list has NULLs and repeats, which mean nothing here; in a literal they are mistakes."""
    return [name for name in dict.fromkeys(names) if name is not None]


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
        raise ValueError("must be true or false")
    return value


def _type(arguments: Arguments, _: Capabilities) -> SqlType:
    return parse_type("VARCHAR[]") if arguments.options.get("multi") else VARCHAR


def _lower(arguments: Arguments, capabilities: Capabilities) -> ClassifyTask | RowLabelsTask:
    declared = arguments.constants[1]
    (name,) = input_names(arguments.texts[:1])
    if declared is not DYNAMIC and arguments.constants[0] is DYNAMIC:
        return _task(_labels(declared), name, arguments.options, capabilities)
    values = RowValues(arguments.constants, tuple(value is DYNAMIC for value in arguments.constants))
    if declared is not DYNAMIC:
        _labels(declared)
    elif arguments.types[1].kind not in _LABEL_KINDS:
        raise BindError(
            f"LLM_CLASSIFY takes labels as a list, such as a column of type VARCHAR[]; {arguments.texts[1]} is "
            f"{arguments.types[1]}."
        )
    return RowLabelsTask(lambda labels: _task(labels, name, arguments.options, capabilities), values)


def _task(labels: Mapping[str, str], name: str, options: Mapping[str, Any], capabilities: Capabilities) -> ClassifyTask:
    temperature, max_tokens = options.get("temperature") or 0.0, options.get("max_tokens")
    if not options.get("multi"):
        return OneLabelTask(Labels.of(name, labels, capabilities.choice_scores, temperature, max_tokens or MAX_TOKENS))
    if capabilities.choice_scores and not options.get("examples"):  # examples are lists of labels
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
    parameters=(Parameter("input"), Parameter("labels", "constant", dynamic=True)),
    options=(Option("multi", _multi_option, "true: every label that fits, as VARCHAR[]"),),
    returns=_type,
    closed_answers=True,
    lower=_lower,
    summary="The label that fits the input best, or with multi := true all that fit.",
    example="""
SELECT body, LLM_CLASSIFY(body, ['delivery', 'payment', 'praise']) AS topic
FROM (VALUES ('Where is my parcel?'), ('I was charged twice.')) AS tickets(body)
""".strip(),
)
