"""DuckDB's errors as ours, so that one ``except`` tree serves both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from .. import errors

_KINDS: tuple[tuple[type[Exception], type[errors.Error]], ...] = (
    (duckdb.ParserException, errors.ParseError),
    (duckdb.SyntaxException, errors.ParseError),
    (duckdb.InterruptException, errors.Interrupted),
    (duckdb.ConstraintException, errors.IntegrityError),
    (duckdb.NotImplementedException, errors.NotSupportedError),
    (duckdb.InternalException, errors.InternalError),
    (duckdb.ConversionException, errors.DataError),
    (duckdb.OutOfRangeException, errors.DataError),
    (duckdb.TypeMismatchException, errors.DataError),
    (duckdb.InvalidInputException, errors.ProgrammingError),
    (duckdb.BinderException, errors.ProgrammingError),
    (duckdb.CatalogException, errors.ProgrammingError),
    (duckdb.ProgrammingError, errors.ProgrammingError),
    (duckdb.IntegrityError, errors.IntegrityError),
    (duckdb.DataError, errors.DataError),
    (duckdb.NotSupportedError, errors.NotSupportedError),
    (duckdb.OperationalError, errors.OperationalError),
    (duckdb.Error, errors.DatabaseError),
)
_OUR_TEXT = re.compile(
    r" when casting from source column __[acgs]\d+|\n+LINE \d+:[^\n]*\b__(?:[acgs]\d|anser___).*", re.DOTALL
)


def translate(error: duckdb.Error) -> errors.Error:
    """Our error for one of DuckDB's; its own message, which points at the place, is kept, but for places in texts of ours."""
    kind = next(ours for theirs, ours in _KINDS if isinstance(error, theirs))
    return kind(_OUR_TEXT.sub("", str(error)))


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for DuckDB's."""
    try:
        yield
    except duckdb.Error as error:
        raise translate(error) from error
