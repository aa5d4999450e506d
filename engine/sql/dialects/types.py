"""Types as other systems write them, in DuckDB's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError

from ...types import parse_type
from ...types import quote as quoted
from .parts import literal

_SCALARS = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "null": "VARCHAR"}


def duckdb_type(written: str, dialect: str) -> str:
    """The DuckDB type for a type of another system.

    Parameters
    ----------
    dialect : sqlglot's name for the system.

    Raises
    ------
    ValueError : neither that system nor DuckDB has such a type.

    >>> duckdb_type("STRUCT<name STRING, ages ARRAY<INT64>>", "bigquery")
    'STRUCT("name" VARCHAR, ages BIGINT[])'
    """
    try:
        kind = exp.DataType.build(written, dialect=dialect)
        for part in kind.find_all(exp.DataType):
            if dialect == "bigquery" and part.this == exp.DataType.Type.DECIMAL and not part.expressions:
                part.set("expressions", [exp.DataTypeParam(this=exp.Literal.number(n)) for n in (38, 9)])
        return parse_type(kind.sql("duckdb")).text
    except (SqlglotError, ValueError):
        return parse_type(written).text


def schema_type(schema: Any) -> str:
    """The DuckDB type whose values a JSON schema describes; ``{'type': 'json_schema', 'json_schema': …}`` is opened.

    Raises
    ------
    ValueError : a schema without a type, or with one that SQL has not.

    >>> schema_type({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}})
    'STRUCT("a" BIGINT[])'
    """
    while isinstance(schema, Mapping) and (inner := schema.get("schema") or schema.get("json_schema")):
        schema = inner
    if not isinstance(schema, Mapping):
        raise ValueError("it takes a JSON schema: {'type': 'object', 'properties': {…}}")
    kind = schema.get("type")
    if schema.get("enum"):
        return f"ENUM({', '.join(literal(str(value)) for value in schema['enum'])})"
    if kind == "array" and schema.get("items"):
        return f"{schema_type(schema['items'])}[]"
    if kind == "object" and schema.get("properties"):
        fields = schema["properties"]
        return f"STRUCT({', '.join(f'{quoted(name)} {schema_type(field)}' for name, field in fields.items())})"
    if isinstance(kind, str) and kind in _SCALARS:
        return _SCALARS[kind]
    raise ValueError(f"its JSON schema has no type that SQL has: {schema!r}")
