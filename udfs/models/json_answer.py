"""JSON answers: schemas in the shape that servers constrain, and the value back out of the reply."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from ...engine.errors import InvalidAnswer
from ...engine.types.json_text import json_part
from .base import JsonValue

_WRAPPER = "value"
_WRAPPED = re.compile(r'\{\s*"value"\s*:\s*(.*?)\s*\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class ServerSchema:
    """A schema as sent.

    Parameters
    ----------
    schema : an object schema, as strict servers demand. wrapped : the value stands under the key ``value``.
    strict : every property is required, so that OpenAI's strict mode accepts it.
    """

    schema: dict[str, Any]
    wrapped: bool
    strict: bool


@lru_cache(maxsize=256)
def server_schema(text: str) -> ServerSchema:
    """Close every object of the schema and wrap a schema whose value is no object.

    >>> server_schema('{"type": "integer"}').schema["properties"]
    {'value': {'type': 'integer'}}
    """
    schema = json.loads(text)
    wrapped = schema.get("type") != "object"
    if wrapped:
        schema = {"type": "object", "properties": {_WRAPPER: schema}, "required": [_WRAPPER]}
    closed = _close(schema)
    return ServerSchema(cast(dict[str, Any], closed), wrapped, _all_required(closed))


def read_json(answer: str, *, wrapped: bool, model: str = "") -> str:
    """The answer as JSON text, out of the words around it and out of the wrapper, if it stands in one.

    Raises
    ------
    InvalidAnswer : it is not JSON. (Whether it fits the schema is the parser's business, which knows the SQL type.)

    >>> read_json('```json\\n{"value": 3}\\n```', wrapped=True)
    '3'
    """
    body, value = _json_in(answer.strip(), answer, model)
    if not wrapped:
        return body
    inner = _WRAPPED.fullmatch(body) if isinstance(value, dict) and set(value) == {_WRAPPER} else None
    return inner[1] if inner else body  # verbatim: a number keeps all its digits


def _json_in(body: str, answer: str, model: str) -> tuple[str, JsonValue]:
    try:
        return body, json.loads(body)
    except ValueError as error:
        part = json_part(body)
        if part != body:
            return _json_in(part, answer, model)
        raise InvalidAnswer(f"The model's answer is not JSON ({error}): {answer[:80]!r}", model, answer) from None


def full_match_pattern(text: str) -> str | None:
    """The regular expression that alone says what the schema says (a string with an anchored pattern), or ``None``.

    >>> full_match_pattern('{"type": "string", "pattern": "^[A-Z]{2}$"}')
    '[A-Z]{2}'
    """
    schema = json.loads(text)
    pattern = str(schema.get("pattern", ""))
    anchored = pattern.startswith("^") and pattern.endswith("$") and "|" not in pattern
    return pattern[1:-1] if schema.keys() == {"type", "pattern"} and schema["type"] == "string" and anchored else None


def _close(schema: JsonValue) -> JsonValue:
    match schema:
        case dict():
            closed = {name: _close(part) for name, part in schema.items()}
            is_struct = schema.get("type") == "object" and "properties" in schema
            return {"additionalProperties": False, **closed} if is_struct else closed
        case list():
            return [_close(part) for part in schema]
        case _:
            return schema


def _all_required(schema: JsonValue) -> bool:
    match schema:
        case {"properties": dict() as properties, **rest}:
            required = rest.get("required")
            complete = set(properties) == set(cast(list[str], required or []))
            return (
                complete and rest.get("additionalProperties") is False and all(map(_all_required, properties.values()))
            )
        case dict():
            return schema.get("type") != "object" and all(map(_all_required, schema.values()))
        case list():
            return all(map(_all_required, schema))
        case _:
            return True
