"""SQL types as DuckDB names them: reading and composing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import duckdb


@dataclass(frozen=True, slots=True)
class SqlType:
    """A DuckDB type.

    Parameters
    ----------
    text : DuckDB's own spelling, for instance ``STRUCT(a INTEGER, b VARCHAR[])``.
    kind : DuckDB's type id in lower case: ``varchar``, ``integer``, ``decimal``, ``struct``, ``list``, ``array``,
        ``map``, ``enum``, … (``json`` for JSON, which DuckDB itself stores as varchar).
    fields : children by name: a struct's fields, a union's members; ``child`` of a list or array; ``key`` and
        ``value`` of a map.
    values : an enum's values.
    precision, scale : of a decimal.
    size : of a fixed-size array.
    """

    text: str
    kind: str
    fields: tuple[tuple[str, SqlType], ...] = ()
    values: tuple[str, ...] = ()
    precision: int = 0
    scale: int = 0
    size: int = 0

    def __str__(self) -> str:
        return self.text

    @property
    def child(self) -> SqlType:
        """The element type of a list or array."""
        return self.fields[0][1]


BOOLEAN = SqlType("BOOLEAN", "boolean")
VARCHAR = SqlType("VARCHAR", "varchar")
DOUBLE = SqlType("DOUBLE", "double")

# What people write for a type; only used to suggest the nearest one, DuckDB decides what it knows.
_NAMES = re.findall(
    r"\w+",
    """
    VARCHAR TEXT STRING CHAR BOOLEAN BOOL TINYINT SMALLINT INTEGER INT BIGINT HUGEINT UTINYINT USMALLINT UINTEGER
    UBIGINT UHUGEINT FLOAT REAL DOUBLE DECIMAL NUMERIC DATE TIME TIMESTAMP DATETIME TIMESTAMPTZ UUID JSON STRUCT MAP
    ENUM
    """,
)


@lru_cache(maxsize=1024)
def parse_type(text: str) -> SqlType:
    """Read a type with DuckDB's own parser.

    Raises
    ------
    ValueError : DuckDB does not know the type; the message has the nearest name.

    >>> parse_type("DECIMAL(9,2)[]").fields[0][1].scale
    2
    >>> parse_type("INTGER")
    Traceback (most recent call last):
    ValueError: 'INTGER' is not a DuckDB type. Did you mean INTEGER?
    """
    try:
        with _parser().cursor() as cursor:
            return _from_duckdb(cursor.type(text))
    except duckdb.Error as error:
        raise ValueError(_unknown(text, str(error))) from None


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    # An empty database kept for its parser: opening one takes 15 ms, and an extraction of ten fields reads eleven types.
    return duckdb.connect(config={"threads": 1})


def _unknown(text: str, reason: str) -> str:
    found = re.search(r"Type with name (\S+) does not exist", reason)
    duplicate = re.search(r"Duplicate type parameter (\S+)", reason)
    if duplicate:
        return f"{text!r} names the field {duplicate[1]} twice (DuckDB does not tell upper from lower case)."
    word = found[1] if found else text
    nearest = difflib.get_close_matches(word.upper(), _NAMES, n=1)
    hint = (
        f"Did you mean {nearest[0]}?"
        if nearest
        else "Write it as in CREATE TABLE, for instance VARCHAR, DECIMAL(9,2) or DATE[]."
    )
    place = f" in {text!r}" if word != text else ""
    return f"{word!r}{place} is not a DuckDB type. {hint}"


def _from_duckdb(native: duckdb.DuckDBPyType) -> SqlType:  # type: ignore[name-defined,unused-ignore]
    text, kind = str(native), str(native.id)
    if kind in ("struct", "list", "array", "map", "union"):
        children = list(native.children)
        size = int(children.pop()[1]) if kind == "array" else 0
        members = children[1:] if kind == "union" else children  # a union's first child is its own tag
        return SqlType(text, kind, fields=tuple((name, _from_duckdb(child)) for name, child in members), size=size)
    if kind == "enum":
        return SqlType(text, kind, values=tuple(dict(native.children)["values"]))
    if kind == "decimal":
        parts = dict(native.children)
        return SqlType(text, kind, precision=int(parts["precision"]), scale=int(parts["scale"]))
    return SqlType(text, "json" if text == "JSON" else kind)


def quote(name: str) -> str:
    """``name`` as a quoted SQL identifier.

    >>> quote('sum "net"')
    '"sum ""net\"""'
    """
    return '"' + name.replace('"', '""') + '"'


def struct_of(fields: Mapping[str, str | SqlType]) -> SqlType:
    """The STRUCT of these fields, whatever characters their names have.

    >>> struct_of({"name": "VARCHAR", "end date": "DATE"}).text
    'STRUCT("name" VARCHAR, "end date" DATE)'
    """
    return parse_type(f"STRUCT({', '.join(f'{quote(name)} {kind}' for name, kind in fields.items())})")


def details_type(sql_type: SqlType) -> SqlType:
    """What a call returns under ``on_error := 'details'``: the value, or NULL and the error's message.

    >>> details_type(BOOLEAN).text
    'STRUCT("value" BOOLEAN, "error" VARCHAR)'
    """
    return struct_of({"value": sql_type, "error": VARCHAR})
