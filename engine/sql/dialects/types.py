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
            if (
                part.this == exp.DataType.Type.OBJECT and part.expressions
            ):  # Snowflake's OBJECT(name STRING NOT NULL, …)
                part.set("this", exp.DataType.Type.STRUCT)
                for field in part.expressions:
                    field.set("constraints", None)
        return parse_type(kind.sql("duckdb")).text
    except (SqlglotError, ValueError):
        return parse_type(written).text


def schema_type(schema: Any) -> str:
    """The DuckDB type whose values a JSON schema describes; ``{'type': 'json_schema', 'json_schema': …}`` is opened.

    A type that may be null is that type; a list of unnamed items is one of texts.

    Raises
    ------
    ValueError : a schema without a type, or with one that SQL has not.

    >>> schema_type({"type": "object", "properties": {"a": {"type": "array", "items": {"type": ["integer", "null"]}}}})
    'STRUCT("a" BIGINT[])'
    """
    schema = _bare(schema)
    kind = schema.get("type")
    if schema.get("enum"):
        return f"ENUM({', '.join(literal(str(value)) for value in schema['enum'] if value is not None)})"
    if kind == "array":
        return f"{schema_type(schema.get('items') or {'type': 'string'})}[]"
    if kind == "object" and schema.get("properties"):
        fields = schema["properties"]
        return f"STRUCT({', '.join(f'{quoted(name)} {schema_type(field)}' for name, field in fields.items())})"
    if isinstance(kind, str) and kind in _SCALARS:
        return _SCALARS[kind]
    raise ValueError(f"its JSON schema has no type that SQL has: {schema!r}")


def descriptions(schema: Any, path: str = "") -> dict[str, str]:
    """What a JSON schema says of its fields in words, by their path.

    >>> descriptions({"type": "object", "properties": {"a": {"type": "string", "description": "Who?"}}})
    {'a': 'Who?'}
    """
    bare = _bare(schema)
    found = {path: str(bare["description"])} if path and bare.get("description") else {}
    for name, field in (bare.get("properties") or {}).items():
        found |= descriptions(field, f"{path}.{name}" if path else name)
    return found | (descriptions(bare["items"], f"{path}[]") if bare.get("items") else {})


def _bare(schema: Any) -> Mapping[str, Any]:
    """A schema out of its wrapping, of its one type that is not null."""
    while isinstance(schema, Mapping) and (inner := schema.get("schema") or schema.get("json_schema")):
        schema = inner
    if not isinstance(schema, Mapping):
        raise ValueError("it takes a JSON schema: {'type': 'object', 'properties': {…}}")
    choices = [choice for choice in schema.get("anyOf") or () if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**schema, **_bare(choices[0])}
    kinds = [kind for kind in schema["type"] if kind != "null"] if isinstance(schema.get("type"), list) else []
    return {**schema, "type": kinds[0]} if len(kinds) == 1 else schema
