"""Open results of the user's connection, which can be told to move into memory so that the connection is free again."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from .arrow_errors import as_duckdb

Row = tuple[Any, ...]


class OpenResult(Protocol):
    """A result that occupies a connection, until it is ``over``."""

    @property
    def over(self) -> bool: ...

    def detach(self) -> None:
        """Read what is left into memory. An error on the way is kept for who reads the result."""
        ...


class Spool:
    """A record batch reader over an open result.

    Parameters
    ----------
    reader : the result.
    names, types : its columns and DuckDB types, where they are known (Arrow's schema cannot tell a UUID from a text).
    """

    def __init__(self, reader: pa.RecordBatchReader, names: Sequence[str] = (), types: Sequence[str] = ()) -> None:
        self._reader: pa.RecordBatchReader | None = reader
        self._kept: deque[pa.RecordBatch] = deque()
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self.schema: pa.Schema = reader.schema
        self.names, self.types = tuple(names), tuple(types)

    def read_next_batch(self) -> pa.RecordBatch:
        """The next batch; StopIteration at the end."""
        with self._lock:
            if self._kept:
                return self._kept.popleft()
            if self._error is not None:
                raise self._error
            if self._reader is None:
                raise StopIteration
            try:
                return self._reader.read_next_batch()
            except StopIteration:
                self._reader = None
                raise
            except (OSError, pa.ArrowException) as error:
                raise as_duckdb(error) from None

    @property
    def over(self) -> bool:
        """Whether the connection is free of it."""
        return self._reader is None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                yield self.read_next_batch()
            except StopIteration:
                return

    def detach(self) -> None:
        """Read what is left into memory and let the connection go."""
        with self._lock:
            reader, self._reader = self._reader, None
            if reader is None:
                return
            try:
                self._kept.extend(reader)
            except Exception as error:  # it is not the fault of the statement that needs the connection now
                self._error = as_duckdb(error)
                _quietly_close(reader)

    def close(self) -> None:
        """Give up what is left."""
        with self._lock:
            reader, self._reader = self._reader, None
            self._kept.clear()
        if reader is not None:
            reader.close()


def _quietly_close(reader: pa.RecordBatchReader) -> None:
    with contextlib.suppress(Exception):
        reader.close()


class RowSpool:
    """Python rows of the statement that a connection has just executed, fetched as they are asked for.

    ``columns`` are names and types.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = connection
        self.columns = [(str(name), str(kind)) for name, kind, *_ in connection.description or ()]
        self._wanted = True
        self._kept: deque[Row] = deque()
        self._error: Exception | None = None
        self._lock = threading.Lock()

    def take(self, size: int) -> list[Row]:
        """Up to ``size`` rows; fewer only at the end."""
        with self._lock:
            taken = [self._kept.popleft() for _ in range(min(size, len(self._kept)))]
            if self._error is not None and not taken:
                raise self._error
            if self._connection is None or len(taken) == size:
                return taken
            wanted = size - len(taken)
            rows = self._fetched(partial(self._connection.fetchmany, wanted))
            if len(rows) < wanted:
                self._free()
            return taken + rows

    def rest(self) -> list[Row]:
        """The rows that are left."""
        with self._lock:
            taken = list(self._kept)
            self._kept.clear()
            if self._error is not None and not taken:
                raise self._error
            if self._connection is not None:
                taken += self._fetched(self._connection.fetchall)
                self._free()
            return taken

    @property
    def over(self) -> bool:
        """Whether the connection is free of it."""
        return self._connection is None

    @property
    def kept(self) -> int:
        """Rows in memory."""
        return len(self._kept)

    def detach(self) -> None:
        """Fetch what is left into memory and let the connection go."""
        with self._lock:
            if self._connection is None:
                return
            with contextlib.suppress(Exception):  # who reads on hears of it
                if self._wanted:
                    self._kept.extend(self._fetched(self._connection.fetchall))
            self._free()

    def abandon(self) -> None:
        """Nobody will read on. Safe in finalisers: it only leaves word for whoever needs the connection next."""
        self._wanted = False

    def close(self) -> None:
        """Give up what is left."""
        with self._lock:
            self._kept.clear()
            if self._connection is not None:
                self._free()

    def _fetched(self, fetch: Callable[[], list[Row]]) -> list[Row]:
        try:
            return fetch()
        except Exception as error:
            self._error = type(error)(*error.args)  # its traceback would hold the connection
            self._free()
            raise

    def _free(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(duckdb.Error):  # the connection may be closed already
                connection.abort()
