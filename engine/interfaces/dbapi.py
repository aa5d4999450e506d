"""PEP 249 cursors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InterfaceError, ProgrammingError
from ..physical.promises import QueryCertificate
from .executed import Fetchable
from .rows import Row

if TYPE_CHECKING:
    from ..session import Parameters
    from .connection import Connection

Description = tuple[str, str, None, None, None, None, None]


class Cursor:
    """A PEP 249 cursor. All cursors of a connection share its transaction and its temporary tables.

    Attributes
    ----------
    description : per column its name, its DuckDB type as text, and five times ``None``; ``None`` for a statement without rows.
    rowcount : rows changed by INSERT, UPDATE, DELETE, COPY or CREATE TABLE AS; -1 otherwise, as rows of a query stream.
    arraysize : rows that ``fetchmany()`` gives.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        self._result: Fetchable | None = None
        self.arraysize = 1
        self.description: list[Description] | None = None
        self.rowcount = -1
        self.lastrowid: None = None

    @property
    def certificate(self) -> QueryCertificate | None:
        """What was proved of the last query's answers under a guarantee (an addition to PEP 249); ``None``: nothing, or not yet, as
        its rows have not been fetched.
        """
        return None if self._result is None else self._result.certificate

    @property
    def connection(self) -> Connection:
        """The connection it belongs to."""
        if self._connection is None:
            raise InterfaceError("The cursor is closed.")
        return self._connection

    def execute(self, operation: str, parameters: Parameters = None) -> Cursor:
        """Run a statement, or several without parameters; the last one's rows come with ``fetch…``.

        Parameters
        ----------
        parameters : a sequence for ``?`` and ``$1``, a mapping for ``$name``.
        """
        self._forget()
        result = self.connection.fetchable(operation, parameters)
        if result is None:
            return self
        self.rowcount, reads = result.changed, result.reads
        if reads:
            self._result = result
            columns = zip(result.columns, result.types, strict=True)
            self.description = [(name, type_text, None, None, None, None, None) for name, type_text in columns]
        return self

    def executemany(self, operation: str, seq_of_parameters: Iterable[Any]) -> Cursor:
        """Run a statement that changes something once per parameter set; ``rowcount`` is the sum.

        Raises
        ------
        ProgrammingError : it is a query, whose rows would be lost.
        """
        total, counted = 0, False
        for parameters in seq_of_parameters:
            self.execute(operation, parameters)
            if self._result is not None and not self.rowcount >= 0:
                self._forget()
                raise ProgrammingError(
                    "executemany() is for statements that change something; use execute() for queries."
                )
            total, counted = total + max(0, self.rowcount), counted or self.rowcount >= 0
        self._forget()
        self.rowcount = total if counted else -1
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
        return self

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def close(self) -> None:
        """Forget the result and stop it if it still runs; idempotent."""
        self._forget()
        self._connection = None

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """Nothing to do (PEP 249 allows it)."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Nothing to do (PEP 249 allows it)."""

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _forget(self) -> None:
        result, self._result = self._result, None
        self.description, self.rowcount = None, -1
        if result is not None:
            result.close()

    def _rows(self) -> Fetchable:
        self.connection.cursor()  # raises when either is closed
        if self._result is None:
            raise InterfaceError("There is no result to fetch: the last statement has none, or none was executed.")
        return self._result
