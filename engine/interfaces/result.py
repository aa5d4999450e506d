"""What ``con.sql()`` gives back: one interface over DuckDB's own relation and over a semantic run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol, TypeVar

import duckdb
import pyarrow as pa

from ..dataflow.certificates import IssuedCertificate
from ..dataflow.progress import QueryProgress
from ..physical.duck import Duck
from ..physical.promises import QueryCertificate
from ..physical.spool import RowSpool
from .close_later import close_later, start_closer
from .rows import Row, RowBuffer
from .translate import translated
from .waiting import Waiting

T = TypeVar("T")
ROWS_PER_FETCH = 2048


class Result(Protocol):
    """A query's result. Nothing runs before the first row is asked for, and it may be read while others are open.

    ``columns`` and ``types`` are names and DuckDB types; ``progress`` is ``None`` for plain SQL; ``notices`` is what the
    user should read beside the rows. ``certificates`` are what was proved of calls under a guarantee, and ``certificate`` what they are
    worth together (``None``: there is none, or it has not been read yet). ``show``, ``arrow``, ``df`` and ``pl`` give all rows; the ``fetch…`` methods give
    those not fetched yet. ``reads`` is whether it has rows to read, and ``changed`` how many rows the statement changed
    (-1: none that were counted).
    """

    @property
    def columns(self) -> list[str]: ...
    @property
    def types(self) -> list[str]: ...
    @property
    def progress(self) -> QueryProgress | None: ...
    @property
    def notices(self) -> list[str]: ...
    @property
    def certificates(self) -> list[IssuedCertificate]: ...
    @property
    def certificate(self) -> QueryCertificate | None: ...
    @property
    def reads(self) -> bool: ...
    @property
    def changed(self) -> int: ...
    def show(self, max_rows: int = 40) -> None: ...
    def arrow(self) -> pa.Table: ...
    def df(self) -> Any: ...
    def pl(self) -> Any: ...
    def fetchall(self) -> list[Row]: ...
    def fetchone(self) -> Row | None: ...
    def fetchmany(self, size: int = 1) -> list[Row]: ...
    def batches(self) -> Iterator[pa.RecordBatch]: ...
    def explain(self) -> str: ...
    def close(self) -> None: ...


class NativeResult:
    """Plain SQL: DuckDB's relation, unchanged.

    Parameters
    ----------
    relation : what DuckDB made of the statement.
    again : runs the query and streams its rows; ``None``: the statement has run, and its rows are in memory.
    reads : whether it is a query (or has RETURNING); DuckDB gives others a relation, too.
    """

    progress: QueryProgress | None = None
    certificate: QueryCertificate | None = None

    def __init__(
        self,
        relation: duckdb.DuckDBPyRelation,
        duck: Duck,
        waiting: Waiting,
        again: Callable[[], RowSpool] | None = None,
        *,
        reads: bool = True,
    ) -> None:
        self._relation, self._duck, self._waiting, self._again, self.reads = relation, duck, waiting, again, reads
        self._spool: RowSpool | None = None
        self._rows: RowBuffer | None = None
        self.notices: list[str] = []
        self.certificates: list[IssuedCertificate] = []
        start_closer()

    @property
    def relation(self) -> duckdb.DuckDBPyRelation:
        """DuckDB's own relation."""
        return self._relation

    @property
    def columns(self) -> list[str]:
        return list(self._relation.columns)

    @property
    def types(self) -> list[str]:
        return [str(t) for t in self._relation.types]

    @property
    def changed(self) -> int:
        """Rows changed, as DuckDB counts them; -1: none, or it is a query."""
        if self.reads or self.columns != ["Count"]:
            return -1
        rows = self._do(self._relation.fetchall)
        return int(rows[0][0]) if rows else -1

    def __str__(self) -> str:
        return self._do(partial(str, self._relation))

    def __repr__(self) -> str:
        return str(self)

    def show(self, max_rows: int = 40) -> None:
        """Print the rows."""
        self._do(partial(self._relation.show, max_rows=max_rows))

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        return self._do(self._relation.to_arrow_table)

    def df(self) -> Any:
        """All rows as a pandas DataFrame."""
        return self._do(self._relation.df)

    def pl(self) -> Any:
        """All rows as a polars DataFrame."""
        return self._do(self._relation.pl)

    def fetchall(self) -> list[Row]:
        """The rows that are left, as Python values."""
        return self._buffer(everything=True).take(None)

    def fetchone(self) -> Row | None:
        """The next row; ``None`` at the end."""
        return next(iter(self._buffer().take(1)), None)

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Up to ``size`` rows."""
        return self._buffer().take(size)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as Arrow batches, while the query runs."""
        spool = self._wait(partial(self._duck.stream, self._relation))
        try:
            while (batch := self._wait(lambda: next(iter(spool), None))) is not None:
                yield batch
        finally:
            spool.close()

    def explain(self) -> str:
        """DuckDB's plan."""
        return str(self._do(self._relation.explain))

    def close(self) -> None:
        """Give up the rows not fetched yet."""
        if self._spool is not None:
            self._spool.close()

    # --- inside -------------------------------------------------------------------------------------------------

    def _buffer(self, *, everything: bool = False) -> RowBuffer:
        if self._rows is None:
            if self._again is None or everything:
                portions = iter([self._do(self._relation.fetchall)])
                self._rows = RowBuffer(lambda: next(portions, None))
            else:
                self._spool = self._wait(self._again)
                self._rows = RowBuffer(partial(_portion, self._spool, self._waiting, self._duck))
        return self._rows

    def _do(self, method: Callable[[], T]) -> T:
        result: T = self._wait(partial(self._duck.native, method))
        return result

    def _wait(self, work: Callable[[], T]) -> T:
        with translated():
            return plain_wait(work, self._duck, self._waiting)

    def __del__(self) -> None:
        if (spool := getattr(self, "_spool", None)) is not None:
            spool.abandon()
            close_later(spool.close)


def plain_wait(work: Callable[[], T], duck: Duck, waiting: Waiting) -> T:
    """Wait for work of DuckDB's alone."""
    return (waiting.here if duck.is_free else waiting.wait)(work, duck.interrupt)


def _portion(spool: RowSpool, waiting: Waiting, duck: Duck) -> list[Row] | None:
    with translated():
        return waiting.wait(partial(spool.take, ROWS_PER_FETCH), duck.interrupt) or None


class TextResult(NativeResult):
    """One text, printed as it is: EXPLAIN."""

    def show(self, max_rows: int = 40) -> None:
        """Print the text."""
        del max_rows
        for row in self._do(self._relation.fetchall):
            print(row[0])
