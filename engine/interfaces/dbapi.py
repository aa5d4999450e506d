"""PEP 249 cursors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InterfaceError
from .result import Result
from .rows import Row

if TYPE_CHECKING:
    from ..session import Parameters
    from .connection import Connection

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"

Description = tuple[str, str, None, None, None, None, None]


class Cursor:
    """A PEP 249 cursor. ``description`` carries genuine DuckDB type names; ``rowcount`` is -1 for queries that stream."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        self._result: Result | None = None
        self.description: list[Description] | None = None
        self.rowcount = -1

    @property
    def connection(self) -> Connection:
        """The connection it belongs to."""
        if self._connection is None:
            raise InterfaceError("The cursor is closed.")
        return self._connection

    def execute(self, operation: str, parameters: Parameters = None) -> Cursor:
        """Run a statement; rows come with ``fetch…``."""
        result = self.connection.sql(operation, parameters)
        self._result = result
        self.description = (
            None
            if result is None
            else [(n, t, None, None, None, None, None) for n, t in zip(result.columns, result.types, strict=True)]
        )
        self.rowcount = -1
        return self

    def executemany(self, operation: str, seq_of_parameters: Sequence[Any]) -> Cursor:
        """Run a statement once per parameter set."""
        for parameters in seq_of_parameters:
            self.execute(operation, parameters)
            if self._result is not None:
                self._result.fetchall()
        return self

    def fetchone(self) -> Row | None:
        """The next row, or ``None``."""
        return self._rows().fetchone()

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """Up to ``size`` rows (``arraysize`` by default)."""
        return self._rows().fetchmany(self.arraysize if size is None else size)

    def fetchall(self) -> list[Row]:
        """The rows that are left."""
        return self._rows().fetchall()

    def __iter__(self) -> Iterator[Row]:
        while (row := self.fetchone()) is not None:
            yield row

    def close(self) -> None:
        """Forget the result; idempotent."""
        self._connection = None
        self._result = None

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """Nothing to do (PEP 249 allows it)."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Nothing to do (PEP 249 allows it)."""

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self) -> Result:
        if self._connection is None:
            raise InterfaceError("The cursor is closed.")
        if self._result is None:
            raise InterfaceError("There is no result to fetch: the last statement has none, or none was executed.")
        return self._result
