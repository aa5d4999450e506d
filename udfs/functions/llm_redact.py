"""``LLM_REDACT``: a text without what tells who somebody is.

The model only names the words; they are found and replaced here, so nothing else of the text can change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import VARCHAR, SqlType, parse_type, read_json
from ..models.base import Capabilities, Generate, JsonAnswer, Reply
from ..prompts.folding import gathered, pieces
from ..prompts.inputs import DATA_RULE, fields, input_names, render
from ..prompts.row_values import RowValues
from ..prompts.spans import Span, find_spans, replaced
from ..spec import DYNAMIC, Arguments, Ask, Option, Parameter, SemanticFunction, Unprepared

_MAX_TOKENS = 1024
_LABELS = {
    "NAME": "names of people",
    "EMAIL": "e-mail addresses",
    "PHONE": "telephone numbers",
    "ADDRESS": "postal addresses",
    "BIRTH_DATE": "dates of birth",
    "ID_NUMBER": "numbers of passports, identity cards, taxes, insurance or customers",
    "PAYMENT": "numbers of payment cards and bank accounts",
    "IP_ADDRESS": "IP addresses",
}
_DETAILS = 'STRUCT("text" VARCHAR, spans STRUCT("label" VARCHAR, "text" VARCHAR, "start" INTEGER, "end" INTEGER)[])'
Entity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class RedactTask(Unprepared):
    """Asks for the words to hide, in one call, or in one per piece of a long text.

    Words that do not stand in the text are asked for again: the model may have misspelt what must not stay. A row where
    they never do fails, rather than to pass for redacted.
    """

    system: str
    answer: JsonAnswer
    labels: Mapping[str, str]
    name: str
    values: RowValues
    details: bool
    temperature: float
    max_tokens: int

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The redacted text, with ``details`` also what was hidden."""
        (value,) = self.values.of(row)
        if value is None:
            return None
        text = render(value)
        entities = await self._entities(text, ask) if text.strip() else []
        spans, _ = find_spans(text, entities)
        hidden = replaced(text, spans)
        return {"text": hidden, "spans": [_shown(text, span) for span in spans]} if self.details else hidden

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request per piece."""
        return [self._request(piece) for piece in pieces(render(self.values.of(row)[0]))]

    def notes(self) -> Mapping[str, str]:
        """What is hidden."""
        return {"hidden": ", ".join(self.labels)}

    def example_answer(self, output: Any) -> str:
        """The list of ``{label, text}`` in its object."""
        try:
            entities = [{"label": item["label"], "text": item["text"]} for item in output]
        except (TypeError, KeyError):
            raise ValueError(f"the output of an example must be a list of {{label, text}}, not {output!r}.") from None
        if unknown := {str(item["label"]) for item in entities} - set(self.labels):
            raise ValueError(
                f"the output of an example has the label {sorted(unknown)[0]!r}, which is none of the labels."
            )
        return json.dumps({"entities": entities}, ensure_ascii=False)

    async def _entities(self, text: str, ask: Ask) -> list[Entity]:
        def read(reply: Reply) -> list[Entity]:
            entities = self._read(reply)
            _, missing = find_spans(text, entities)
            if missing:
                raise InvalidAnswer(f"The answer names {missing[0]!r}, which is not in the text.", answer=reply.text)
            return entities

        found = await gathered(ask, [self._request(piece) for piece in pieces(text)], read)
        return [entity for entities in found for entity in entities]

    def _request(self, piece: str) -> Generate:
        return Generate(self.system, fields((self.name,), (piece,)), self.answer, self.temperature, self.max_tokens)

    def _read(self, reply: Reply) -> list[Entity]:
        try:
            found = [(str(item["text"]), str(item["label"])) for item in read_json(reply.text)["entities"]]
        except (ValueError, TypeError, KeyError):
            raise InvalidAnswer("The answer is no list of words with labels.", answer=reply.text) from None
        if unknown := {label for _, label in found} - set(self.labels):
            raise InvalidAnswer(f"{sorted(unknown)[0]!r} is none of the labels.", answer=reply.text)
        return [entity for entity in found if entity[0].strip()]


def _shown(text: str, span: Span) -> dict[str, Any]:
    # As DuckDB counts: input[span.start:span.end] is the words.
    return {"label": span.label, "text": text[span.start : span.end], "start": span.start + 1, "end": span.end}


def _labels(declared: Any) -> dict[str, str]:
    """Label → description."""
    pairs = dict(declared) if isinstance(declared, Mapping) else {}
    if isinstance(declared, (list, tuple)) and all(isinstance(name, str) for name in declared):
        pairs = {name: _LABELS.get(name.strip().upper(), "") for name in declared}
    labels = {str(name).strip(): str(words or "").strip() for name, words in pairs.items()}
    if not labels or not all(labels) or (declared is not None and len(labels) < len(declared)):
        raise ValueError(
            "LLM_REDACT needs its labels as a list of different names, such as ['NAME', 'EMAIL'], or with descriptions: "
            "{NAME: 'names of people'}."
        )
    return labels


def _answer(labels: Sequence[str]) -> JsonAnswer:
    entity = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": list(labels)}, "text": {"type": "string"}},
        "required": ["label", "text"],
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"entities": {"type": "array", "items": entity}},
        "required": ["entities"],
        "additionalProperties": False,
    }
    return JsonAnswer(json.dumps(schema, ensure_ascii=False))


def _system(labels: Mapping[str, str]) -> str:
    wanted = (f"- {name}{f': {words}' if words else ''}" for name, words in labels.items())
    return "\n".join(
        (
            "List what the input has of these kinds, each exactly as it is written there:",
            *wanted,
            'Answer with one JSON object {"entities": [{"label": kind, "text": words of the input}, …]}; '
            f'where there is nothing, {{"entities": []}}. {DATA_RULE}',
        )
    )


def _details_option(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _type(arguments: Arguments) -> SqlType:
    return parse_type(_DETAILS) if arguments.options.get("details") else VARCHAR


def _lower(arguments: Arguments, _: Capabilities) -> RedactTask:
    constants, options = arguments.constants, arguments.options
    declared = constants[1:]
    labels = _labels(declared[0]) if declared else _LABELS
    return RedactTask(
        system=_system(labels),
        answer=_answer(tuple(labels)),
        labels=labels,
        name=input_names(arguments.texts[:1])[0],
        values=RowValues(constants[:1], (constants[0] is DYNAMIC,)),
        details=bool(options.get("details")),
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens") or _MAX_TOKENS,
    )


FUNCTION = SemanticFunction(
    sql_name="LLM_REDACT",
    aliases=("AI_REDACT", "SEM_REDACT"),
    parameters=(Parameter("input"), Parameter("labels", "constant", optional=True)),
    options=(
        Option(
            "details",
            _details_option,
            "true: a STRUCT of the text and of spans (label, text, start, end), so that `input[start:end]` is a span's text",
        ),
    ),
    returns=lambda arguments, _: _type(arguments),
    lower=_lower,
    summary="The text with [LABEL] in the place of names, addresses, numbers and whatever else the labels say.",
    example="""
SELECT LLM_REDACT(body, ['NAME', 'EMAIL']) AS safe
FROM (VALUES ('Please write to Ada Byron, ada@example.org.')) AS tickets(body)
""".strip(),
)
