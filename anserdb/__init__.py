"""AnserDB: SQL over DuckDB in which rows are filtered, extracted, classified, ranked and summarised by models.

>>> import anserdb
>>> con = anserdb.connect(store=":memory:", llm_model="scripted")
>>> con.sql("SELECT 42 AS answer").fetchall()
[(42,)]
>>> con.close()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .engine.errors import (
    BindError,
    BudgetExceeded,
    DatabaseError,
    DataError,
    DownloadError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    Interrupted,
    InvalidAnswer,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    NotSupportedError,
    OperationalError,
    ParseError,
    ProgrammingError,
    RateLimited,
    Warning,  # noqa: A004 (PEP 249 demands the name)
)
from .engine.interfaces.dbapi_types import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    apilevel,
    paramstyle,
    threadsafety,
)

if TYPE_CHECKING:
    from .engine.interfaces.connection import Connection, connect
    from .engine.interfaces.dbapi import Cursor
    from .engine.interfaces.duckdb_load import Loaded, load
    from .engine.interfaces.result import Result

__version__ = "0.1.0"

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "BindError",
    "BudgetExceeded",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "DownloadError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "Interrupted",
    "InvalidAnswer",
    "Loaded",
    "ModelError",
    "ModelTimeout",
    "ModelUnavailable",
    "NotSupportedError",
    "OperationalError",
    "ParseError",
    "ProgrammingError",
    "RateLimited",
    "Result",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "__version__",
    "apilevel",
    "connect",
    "load",
    "paramstyle",
    "threadsafety",
]

# Imported when first used (PEP 562): with DuckDB, Arrow and sqlglot they take most of a second, and `anser --version` needs none.
_LATER = {
    "Connection": "connection",
    "Cursor": "dbapi",
    "Loaded": "duckdb_load",
    "Result": "result",
    "connect": "connection",
    "load": "duckdb_load",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".engine.interfaces.{_LATER[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
