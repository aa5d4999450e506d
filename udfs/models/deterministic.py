"""Answers made from a hash of the question: the same in every process, so that results of two roads can be compared.

Used by :mod:`.scripted` and by the tests' server simulator.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Strings to try against a schema's pattern; a pattern that fits none of them cannot be answered.
_SAMPLES = (
    "alpha",
    "A",
    "AB",
    "ABC",
    "7",
    "12.50",
    "-3",
    "2024-03-05",
    "12:30:00",
    "2024-03-05 12:30:00",
    "a@example.org",
    "00ff",
)
_FORMATS = {
    "date": "2024-03-{:02d}",
    "time": "12:30:{:02d}",
    "date-time": "2024-03-05T12:30:{:02d}Z",
    "uuid": "00000000-0000-4000-8000-0000000000{:02d}",
}


def fraction(text: str, seed: int = 0) -> float:
    """A number in [0, 1) that depends on nothing but the text and the seed.

    >>> fraction("a") == fraction("a") != fraction("b")
    True
    """
    return _number(text, seed) / 2**64


def choice(text: str, choices: Sequence[str], seed: int = 0) -> str:
    """One of the choices.

    >>> choice("some review", ("yes", "no")) in ("yes", "no")
    True
    """
    return choices[_number(text, seed) % len(choices)]


def scores(text: str, choices: Sequence[str], seed: int = 0) -> dict[str, float]:
    """Natural log-probabilities whose highest is :func:`choice`'s."""
    if len(choices) == 1:
        return {choices[0]: 0.0}
    chosen = choice(text, choices, seed)
    share = 1 / len(choices)
    sure = share + (1 - share) * (0.1 + 0.8 * fraction(text + "\0score", seed))
    rest = (1 - sure) / (len(choices) - 1)
    return {name: math.log(sure if name == chosen else rest) for name in choices}


def sentence(text: str, seed: int = 0) -> str:
    """A short text that quotes the question's hash."""
    return f"scripted answer {_number(text, seed):016x}"


def vector(text: str, dimension: int, seed: int = 0) -> tuple[float, ...]:
    """A unit vector.

    >>> round(sum(x * x for x in vector("a", 8)), 6)
    1.0
    """
    raw = hashlib.shake_256(f"{seed}\0{text}".encode("utf-8", "replace")).digest(2 * dimension)
    numbers = [int.from_bytes(raw[i : i + 2]) / 32767.5 - 1 for i in range(0, 2 * dimension, 2)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return tuple(number / length for number in numbers)


def json_value(text: str, schema: Mapping[str, Any], seed: int = 0) -> Any:
    """A value that is valid under the schema (the part of JSON Schema that SQL types need).

    Raises
    ------
    ValueError : the schema has something this cannot satisfy.

    >>> sorted(json_value("t", {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "null"}}}))
    ['a', 'b']
    """
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][_number(text, seed) % len(schema["enum"])]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return json_value(text, schema[word][0], seed)
    kind = schema.get("type", "string")
    return _of_type(kind if isinstance(kind, str) else kind[0], text, schema, seed)


def _of_type(kind: str, text: str, schema: Mapping[str, Any], seed: int) -> Any:
    match kind:
        case "object":
            return _object(text, schema, seed)
        case "array":
            return _array(text, schema, seed)
        case "string":
            return _string(text, schema, seed)
        case "integer":
            return _integer(text, schema, seed)
        case "number":
            low, high = _bounds(schema)
            return round(low + (high - low) * fraction(text, seed), 2)
        case "boolean":
            return _number(text, seed) % 2 == 0
        case "null":
            return None
        case _:
            raise ValueError(f"no value for JSON type {kind!r}")


def _object(text: str, schema: Mapping[str, Any], seed: int) -> dict[str, Any]:
    found = {name: json_value(f"{text}\0{name}", part, seed) for name, part in schema.get("properties", {}).items()}
    if isinstance(rest := schema.get("additionalProperties"), dict):
        found["key"] = json_value(f"{text}\0key", rest, seed)
    return found


def _array(text: str, schema: Mapping[str, Any], seed: int) -> list[Any]:
    least = int(schema.get("minItems", 0))
    length = min(int(schema.get("maxItems", least + 3)), max(least, 1 + _number(text, seed) % 3))
    return [json_value(f"{text}\0{i}", schema.get("items", {}), seed) for i in range(length)]


def _string(text: str, schema: Mapping[str, Any], seed: int) -> str:
    if template := _FORMATS.get(schema.get("format", "")):
        return template.format(1 + _number(text, seed) % 28)
    if pattern := schema.get("pattern"):
        for sample in _SAMPLES:
            if re.search(pattern, sample):
                return sample
        raise ValueError(f"no string for the pattern {pattern!r}")
    return f"{_number(text, seed):016x}"[: schema.get("maxLength")]


def _integer(text: str, schema: Mapping[str, Any], seed: int) -> int:
    low, high = (math.ceil(bound) if i == 0 else math.floor(bound) for i, bound in enumerate(_bounds(schema)))
    return low + _number(text, seed) % (high - low + 1)


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0 if schema.get("maximum", 1) > 0 else None))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        return high - 100, high
    low = low + ("exclusiveMinimum" in schema)
    return low, (low + 100 if high is None else high - ("exclusiveMaximum" in schema))


def _number(text: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "replace"), digest_size=8).digest())


def dumps(value: Any) -> str:
    """JSON as every user of this module writes it."""
    return json.dumps(value, ensure_ascii=False)
