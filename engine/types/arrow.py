"""Python values of a SQL type as an Arrow column that DuckDB reads, or casts, to exactly that type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from .schema import unsupported
from .sql_type import SqlType

_MICROSECONDS = pa.timestamp("us")
_SCALARS: Mapping[str, Any] = {
    "boolean": pa.bool_(),
    "varchar": pa.string(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "utinyint": pa.uint8(),
    "usmallint": pa.uint16(),
    "uinteger": pa.uint32(),
    "ubigint": pa.uint64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": _MICROSECONDS,
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}

# Types that Arrow lacks (or holds with fewer digits) travel as something wider, and DuckDB casts them.
_CAST: Mapping[str, Any] = {
    "enum": pa.string(),
    "json": pa.string(),
    "uuid": pa.string(),
    "hugeint": pa.string(),  # decimal(38,0) would stop at 10^38
    "uhugeint": pa.string(),
    "time with time zone": pa.string(),
    "timestamp_s": _MICROSECONDS,  # DuckDB rounds where Arrow would cut
    "timestamp_ms": _MICROSECONDS,
}


def arrow_type(sql_type: SqlType) -> pa.DataType:
    """The Arrow type in which values of ``sql_type`` travel to DuckDB.

    Raises
    ------
    ValueError : no answer can have that type.

    >>> from anserdb.engine.types import parse_type
    >>> arrow_type(parse_type("STRUCT(a DATE, b UUID[])"))
    StructType(struct<a: date32[day], b: list<item: string>>)
    """
    match sql_type.kind:
        case "struct":
            return pa.struct([(name, arrow_type(kind)) for name, kind in sql_type.fields])
        case "list":
            return pa.list_(arrow_type(sql_type.child))
        case "array":
            return pa.list_(arrow_type(sql_type.child), sql_type.size)
        case "map":
            return pa.map_(arrow_type(sql_type.fields[0][1]), arrow_type(sql_type.fields[1][1]))
        case "decimal":
            return pa.decimal128(sql_type.precision, sql_type.scale)
        case kind if kind in _SCALARS:
            return _SCALARS[kind]
        case kind if kind in _CAST:
            return _CAST[kind]
    raise unsupported(sql_type)


def needs_cast(sql_type: SqlType) -> bool:
    """Whether DuckDB must ``CAST(column AS type)`` to see ``sql_type`` in a column of :func:`to_arrow`.

    >>> needs_cast(SqlType("UUID", "uuid")), needs_cast(SqlType("DATE", "date"))
    (True, False)
    """
    return sql_type.kind in _CAST or any(needs_cast(child) for _, child in sql_type.fields)


def to_arrow(values: Sequence[Any], sql_type: SqlType) -> pa.Array:
    """A column of Python values (as :func:`~anserdb.engine.types.from_json` or DuckDB returns them; ``None`` is NULL).

    Raises
    ------
    ValueError : the type cannot travel. pyarrow.ArrowInvalid (a ValueError): a value does not fit.

    >>> from anserdb.engine.types import parse_type
    >>> to_arrow([{"a": 1}, None], parse_type("MAP(VARCHAR, INTEGER)")).to_pylist()
    [[('a', 1)], None]
    """
    convert = _converter(sql_type)
    column = [None if value is None else convert(value) for value in values] if convert else values
    return pa.array(column, arrow_type(sql_type))


Convert = Callable[[Any], Any]


def _converter(sql_type: SqlType) -> Convert | None:
    """What turns a (non-NULL) value into one that pyarrow takes; ``None`` where it takes the value as it is."""
    match sql_type.kind:
        case "uuid" | "hugeint" | "uhugeint":
            return str
        case "time with time zone":
            return lambda value: value.isoformat()
        case "map":
            return _map_converter(sql_type)
        case "list" | "array":
            item = _converter(sql_type.child)
            return None if item is None else lambda value: [_each(item, element) for element in value]
        case "struct":
            fields = {name: convert for name, kind in sql_type.fields if (convert := _converter(kind))}
            return (lambda value: _struct(value, fields)) if fields else None
    return None


def _each(convert: Convert | None, value: Any) -> Any:
    return value if value is None or convert is None else convert(value)


def _struct(value: Mapping[str, Any], fields: Mapping[str, Convert]) -> dict[str, Any]:
    return {name: _each(fields.get(name), item) for name, item in value.items()}


def _map_converter(sql_type: SqlType) -> Convert:
    key, value = (_converter(kind) for _, kind in sql_type.fields)
    return lambda pairs: [(_each(key, name), _each(value, item)) for name, item in pairs.items()]
