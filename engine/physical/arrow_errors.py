"""DuckDB's errors under their own classes again: read through Arrow, they arrive as ``OSError`` with DuckDB's text."""

from __future__ import annotations

import re

import duckdb
import pyarrow as pa

_WORDS: dict[str, type[Exception]] = {
    "Binder": duckdb.BinderException,
    "Catalog": duckdb.CatalogException,
    "Constraint": duckdb.ConstraintException,
    "Conversion": duckdb.ConversionException,
    "INTERNAL": duckdb.InternalException,
    "INTERRUPT": duckdb.InterruptException,
    "IO": duckdb.IOException,
    "Invalid Input": duckdb.InvalidInputException,
    "Mismatch Type": duckdb.TypeMismatchException,
    "Not implemented": duckdb.NotImplementedException,
    "Out of Memory": duckdb.OutOfMemoryException,
    "Out of Range": duckdb.OutOfRangeException,
}
_LEAD = re.compile(r"([A-Z][\w ]*?) Error: ")


def as_duckdb(error: Exception) -> Exception:
    """DuckDB's error for one of Arrow's; any other as it is.

    >>> as_duckdb(OSError("Out of Range Error: Overflow in addition"))
    OutOfRangeException('Out of Range Error: Overflow in addition')
    """
    lead = _LEAD.match(str(error)) if isinstance(error, OSError | pa.ArrowException) else None
    if lead is None:
        return error
    return _WORDS.get(lead[1], duckdb.OperationalError)(str(error))
