"""PEP 249's module attributes, type objects and constructors."""

from __future__ import annotations

import datetime
import re
import time

apilevel = "2.0"
threadsafety = 2
paramstyle = "qmark"

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
Binary = bytes

_NAME = re.compile(r"[A-Z_ ]+")


class TypeCode:
    """Equal to the ``type_code`` of every DuckDB type of its group.

    >>> STRING == "VARCHAR", "DECIMAL(9,2)" == NUMBER, NUMBER == "DECIMAL(9,2)[]"
    (True, True, False)
    """

    def __init__(self, name: str, *types: str) -> None:
        self._name, self._types = name, frozenset(types)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TypeCode):
            return self is other
        if not isinstance(other, str) or other.endswith("]"):
            return False
        match = _NAME.match(other)
        return match is not None and match[0].strip() in self._types

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return self._name


STRING = TypeCode("STRING", "VARCHAR", "ENUM", "JSON", "UUID")
BINARY = TypeCode("BINARY", "BLOB", "BIT")
NUMBER = TypeCode(
    "NUMBER",
    *(
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
    ),
    *("BIGNUM", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN"),
)
DATETIME = TypeCode(
    "DATETIME",
    *("DATE", "TIME", "TIME WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "INTERVAL"),
    *("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
)
ROWID = TypeCode("ROWID")


def DateFromTicks(ticks: float) -> datetime.date:  # noqa: N802 (PEP 249 names it)
    """The local date at so many seconds since the epoch."""
    return datetime.date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> datetime.time:  # noqa: N802
    """The local time at so many seconds since the epoch."""
    return datetime.time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> datetime.datetime:  # noqa: N802
    """The local date and time at so many seconds since the epoch."""
    return datetime.datetime(*time.localtime(ticks)[:6])
