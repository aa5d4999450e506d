"""The JSON Schema under which a model answers in a SQL type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .sql_type import SqlType

INTEGER_RANGES: Mapping[str, tuple[int, int]] = {
    **{name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for name, bits in zip(
        ("tinyint", "smallint", "integer", "bigint", "hugeint"), (8, 16, 32, 64, 128), strict=True)},
    **{name: (0, 2**bits - 1) for name, bits in zip(
        ("utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"), (8, 16, 32, 64, 128), strict=True)},
}  # fmt: skip
"""Smallest and largest value per integer type, by kind."""

# JSON's own range of integers that every reader agrees on (RFC 8259, section 6). Constrained decoders keep bounds in
# doubles or 64-bit integers, so wider bounds would be wrong there; such values are checked after the answer instead.
_SAFE_INTEGER = 2**53 - 1

_DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
# JSON Schema's "time" and "date-time" demand an offset; types without a zone must not make the model invent one.
_LOCAL_TIMESTAMP = {"type": "string", "pattern": f"^{_DATE}[T ]{_TIME}$"}

_SCALAR_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "boolean": {"type": "boolean"},
    "varchar": {"type": "string"},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "decimal": {"type": "number"},  # digits survive: answers are read with decimal arithmetic, never through a double
    "uuid": {"type": "string", "format": "uuid"},
    "json": {"type": ["object", "array", "string", "number", "boolean", "null"]},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "pattern": f"^{_TIME}$"},
    "time with time zone": {"type": "string", "format": "time"},
    "timestamp": _LOCAL_TIMESTAMP,
    "timestamp_s": _LOCAL_TIMESTAMP,
    "timestamp_ms": _LOCAL_TIMESTAMP,
    "timestamp with time zone": {"type": "string", "format": "date-time"},
}

_INSTEAD: Mapping[str, str] = {
    "interval": "VARCHAR, or BIGINT for a number of seconds",
    "blob": "VARCHAR",
    "union": "STRUCT with one field per member, or JSON",
    "variant": "JSON",
    "bignum": "HUGEINT, or VARCHAR for more digits",
    "timestamp_ns": "TIMESTAMP",
    "timestamptz_ns": "TIMESTAMPTZ",
    "time_ns": "TIME",
}


def unsupported(sql_type: SqlType, path: str = "") -> ValueError:
    """The error for a type that a model cannot answer in; it names the place, the type and what to use instead."""
    place = f"{path}: " if path else ""
    return ValueError(f"{place}a model cannot answer in {sql_type}; use {_INSTEAD.get(sql_type.kind, 'VARCHAR')}.")


def json_schema(sql_type: SqlType, path: str = "") -> dict[str, Any]:
    """The JSON Schema of an answer of this type.

    Objects are closed and have all their fields, in the type's order; each field may be null, for what the text does
    not state. Bounds, formats and patterns stand in it where constrained decoders agree on their meaning; everything
    else is checked by :func:`~anserdb.engine.types.from_json`.

    Parameters
    ----------
    path : where the type stands, for messages, such as ``claim.amount``.

    Raises
    ------
    ValueError : the type (or one inside it) cannot be an answer: INTERVAL, BLOB, UNION, …

    >>> json_schema(SqlType("TINYINT[]", "list", (("child", SqlType("TINYINT", "tinyint")),)))
    {'type': 'array', 'items': {'type': 'integer', 'minimum': -128, 'maximum': 127}}
    """
    match sql_type.kind:
        case "struct":
            return _struct_schema(sql_type, path)
        case "list":
            return {"type": "array", "items": json_schema(sql_type.child, f"{path}[]")}
        case "array":
            items = json_schema(sql_type.child, f"{path}[]")
            return {"type": "array", "items": items, "minItems": sql_type.size, "maxItems": sql_type.size}
        case "map":
            return _map_schema(sql_type, path)
        case "enum":
            return {"type": "string", "enum": list(sql_type.values)}
        case kind if kind in INTEGER_RANGES:
            low, high = INTEGER_RANGES[kind]
            bounds = {"minimum": low, "maximum": high}
            return {"type": "integer"} | {word: bound for word, bound in bounds.items() if abs(bound) <= _SAFE_INTEGER}
        case kind if kind in _SCALAR_SCHEMAS:
            return dict(_SCALAR_SCHEMAS[kind])
    raise unsupported(sql_type, path)


def _struct_schema(sql_type: SqlType, path: str) -> dict[str, Any]:
    properties = {
        name: _nullable(json_schema(kind, f"{path}.{name}" if path else name)) for name, kind in sql_type.fields
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _map_schema(sql_type: SqlType, path: str) -> dict[str, Any]:
    (_, key), (_, value) = sql_type.fields
    if key.fields or key.kind == "json":
        raise ValueError(
            f"{path or sql_type.text}: the keys of a MAP in an answer must be text, numbers or dates, not {key}."
        )
    json_schema(key, f"{path} key".lstrip())  # refuses key types that no answer can have
    return {"type": "object", "additionalProperties": _nullable(json_schema(value, f"{path} value".lstrip()))}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    # anyOf, not a list of types: enums, formats and bounds then need no special case in any server
    return schema if "null" in schema.get("type", ()) else {"anyOf": [schema, {"type": "null"}]}
