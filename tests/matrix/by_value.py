"""A model whose answer depends on the inputs it is shown and on the answer's form, but not on the names of the inputs."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Embed, JsonAnswer, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.reader import shown_values

CONSTANTS = {"French", "red things", "sky"}
"""What is shown as an input although it is a literal: a plain connection does so with a language, and embeddings have nothing else."""
_KEY = b"83"
"""Gives the few inputs of the matrix different answers: half of a filter's are true, every label occurs."""


def by_value_model() -> ScriptedModel:
    """Without probabilities: with them, calibration would ask about inputs that no row has."""
    capabilities = Capabilities(embeds=True, choice_scores=False, local=True, dimension=4, concurrency=64)
    return ScriptedModel([(lambda _: True, _answer)], capabilities=capabilities, name="matrix")


def inputs(request: Request) -> tuple[str, ...]:
    """What a request shows of its row."""
    shown = [request.text] if isinstance(request, Embed) else shown_values(request)
    return tuple(value for value in shown if value not in CONSTANTS)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4, key=_KEY).digest(), "big")


def _answer(request: Request) -> Any:
    if isinstance(request, Embed):
        return [(_number(f"{i}{request.text}") % 16 - 7.5) / 8 for i in range(4)]  # exact as FLOAT
    number = _number("|".join(inputs(request)))
    match request.answer:
        case ChoiceAnswer(choices):
            return choices[number % len(choices)]
        case JsonAnswer(schema) if "parts" in json.loads(schema).get("properties", ()):
            return json.dumps({"parts": " ".join(inputs(request)).split()})
        case JsonAnswer(schema):
            return json.dumps(_value(json.loads(schema), number))
        case _:
            return f"text {number % 10}"


def _value(schema: dict[str, Any], number: int) -> Any:
    """Any value that a JSON schema allows."""
    if "enum" in schema:
        return schema["enum"][number % len(schema["enum"])]
    if "anyOf" in schema:
        return _value(schema["anyOf"][0], number)
    kind = schema["type"][0] if isinstance(schema["type"], list) else schema["type"]
    match kind:
        case "object":
            return {
                name: _value(part, number // (i + 1)) for i, (name, part) in enumerate(schema["properties"].items())
            }
        case "array":
            # No list of spans: words that do not stand in the text would be asked for again.
            items = schema["items"]
            return [] if "label" in items.get("properties", ()) else [_value(items, number)] * (number % 3)
        case "integer":
            return number % 7
        case "number":
            return (number % 100) / 100
        case "boolean":
            return number % 2 == 0
        case _:
            return f"word {number % 10}"
