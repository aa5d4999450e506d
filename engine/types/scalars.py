"""From one scalar of a model's JSON answer to the Python value of a SQL type.

Spellings that mean one thing are taken (``"42"`` for an integer, ``yes`` for a boolean); whatever could be read in two
ways (``1,234``, a local time for a type with a zone, 42.5 for an integer) is refused, because a re-ask costs less than
a wrong figure in a table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any
from uuid import UUID

from .json_text import json_text
from .schema import INTEGER_RANGES, unsupported
from .sql_type import SqlType

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_OFFSET = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
# Below it a number rounds to a FLOAT: 3.4028235e38, as DuckDB prints the greatest, does.
_FLOAT_END = 2.0**128 - 2.0**103


class UnfitError(ValueError):
    """A value refused, with the reason in words."""


def read_scalar(value: Any, sql_type: SqlType) -> Any:
    """The Python value, as DuckDB would return it, of a parsed JSON value that is not null.

    Raises
    ------
    UnfitError : says what is wrong with the value. ValueError : no answer can have that type.

    >>> read_scalar("42", SqlType("TINYINT", "tinyint"))
    42
    """
    reader = _integer if sql_type.kind in INTEGER_RANGES else _READERS.get(sql_type.kind)
    if reader is None:
        raise unsupported(sql_type)
    try:
        return reader(value, sql_type)
    except UnfitError:
        raise
    except (ValueError, ArithmeticError, RecursionError):  # what the standard library says of its parsing helps nobody
        raise UnfitError(f"{show(value)} is not of type {sql_type}") from None


def show(value: Any) -> str:
    """``value`` as a message quotes it: at most 60 characters."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else json_text(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _varchar(value: Any, sql_type: SqlType) -> str:
    if isinstance(value, dict | list):
        raise UnfitError(f"{show(value)} is not text, as {sql_type} needs")
    text = value if isinstance(value, str) else json_text(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnfitError("the text holds half a character (a lone UTF-16 surrogate)") from None
    return text


def _boolean(value: Any, _: SqlType) -> bool:
    if not isinstance(value, bool | int | str):
        raise ValueError
    answer = _BOOLEANS.get(str(value).strip().lower())
    if answer is None:
        raise UnfitError(f"{show(value)} is neither true nor false")
    return answer


def _number(value: Any) -> Decimal:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return Decimal(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise ValueError
    return number


def _out_of_range(value: Any, sql_type: SqlType, bounds: str = "") -> UnfitError:
    return UnfitError(f"{show(value)} is out of range for {sql_type}{bounds}")


def _integer(value: Any, sql_type: SqlType) -> int:
    number = _number(value)
    low, high = INTEGER_RANGES[sql_type.kind]
    if not low <= number <= high:  # before int(): 1E+999999999 is a small Decimal and a ruinous int
        raise _out_of_range(value, sql_type, f" ({low} to {high})")
    if number != number.to_integral_value():
        raise UnfitError(f"{show(value)} is not a whole number, as {sql_type} needs")
    return int(number)


def _floating(value: Any, sql_type: SqlType) -> float:
    number = float(_number(value))
    if math.isinf(number) or (sql_type.kind == "float" and abs(number) >= _FLOAT_END):
        raise _out_of_range(value, sql_type)
    return number


def _decimal(value: Any, sql_type: SqlType) -> Decimal:
    number = _number(value)
    digits = sql_type.precision - sql_type.scale
    if number and number.adjusted() > digits:
        raise _out_of_range(value, sql_type)
    # excess decimals are rounded half away from zero, as DuckDB's own cast does
    rounded = (number or Decimal(0)).quantize(Decimal(1).scaleb(-sql_type.scale), ROUND_HALF_UP, Context(prec=50))
    if abs(rounded) >= 10**digits:
        raise _out_of_range(value, sql_type)
    return rounded


def _matched(value: Any, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value.strip()):
        raise ValueError
    return value.strip()


def _date(value: Any, _: SqlType) -> date:
    return date.fromisoformat(_matched(value, _DAY))


def _time(value: Any, _: SqlType) -> time:
    return time.fromisoformat(_matched(value, _CLOCK))


def _time_with_zone(value: Any, _: SqlType) -> time:
    return time.fromisoformat(_matched(value, _CLOCK + _OFFSET))


def _timestamp(value: Any, sql_type: SqlType) -> datetime:
    if isinstance(value, str) and re.fullmatch(f"{_DAY}[T ]{_CLOCK}[+-].*", value.strip()):
        raise UnfitError(f"{show(value)} has an offset from UTC, which {sql_type} cannot hold; use TIMESTAMPTZ")
    return datetime.fromisoformat(_matched(value, f"{_DAY}([T ]{_CLOCK}Z?)?").removesuffix("Z"))


def _timestamp_with_zone(value: Any, sql_type: SqlType) -> datetime:
    if isinstance(value, str) and re.fullmatch(f"{_DAY}([T ]{_CLOCK})?", value.strip()):
        raise UnfitError(f"{show(value)} has no offset from UTC, which {sql_type} needs; use TIMESTAMP for local times")
    return datetime.fromisoformat(_matched(value, f"{_DAY}[T ]{_CLOCK}{_OFFSET}")).astimezone(UTC)


def _enum(value: Any, sql_type: SqlType) -> str:
    text = value if isinstance(value, str) else json_text(value)
    if text in sql_type.values:
        return text
    alike = [label for label in sql_type.values if label.lower() == text.strip().lower()]
    if len(alike) != 1:
        allowed = ", ".join(map(repr, sql_type.values[:10])) + (", …" if len(sql_type.values) > 10 else "")
        raise UnfitError(f"{show(value)} is not one of {allowed}")
    return alike[0]


def _uuid(value: Any, _: SqlType) -> UUID:
    return UUID(_matched(value, "[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}"))


def _json(value: Any, sql_type: SqlType) -> str:
    return _varchar(json_text(value), sql_type)


_READERS: Mapping[str, Callable[[Any, SqlType], Any]] = {
    "varchar": _varchar,
    "boolean": _boolean,
    "float": _floating,
    "double": _floating,
    "decimal": _decimal,
    "date": _date,
    "time": _time,
    "time with time zone": _time_with_zone,
    "timestamp": _timestamp,
    "timestamp_s": _timestamp,
    "timestamp_ms": _timestamp,
    "timestamp with time zone": _timestamp_with_zone,
    "enum": _enum,
    "uuid": _uuid,
    "json": _json,
}
