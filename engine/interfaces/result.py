"""What ``con.sql()`` gives back: one interface over DuckDB's own relation and over a semantic run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from ..dataflow.progress import QueryProgress
from ..errors import Error, Interrupted, NotSupportedError
from ..physical.duck import Spool
from ..plan.nodes import Column
from ..session import Execution
from .translate import translated
from .waiting import wait_for

Row = tuple[Any, ...]
Listener = Callable[[QueryProgress], None]


class Result(Protocol):
    """A query's result. Nothing runs before the first row is asked for.

    ``columns`` and ``types`` are names and DuckDB types; ``progress`` is ``None`` for plain SQL; ``notices`` is what the
    user should read beside the rows.
    """

    @property
    def columns(self) -> list[str]: ...
    @property
    def types(self) -> list[str]: ...
    @property
    def progress(self) -> QueryProgress | None: ...
    @property
    def notices(self) -> list[str]: ...
    def show(self, max_rows: int = 40) -> None: ...
    def arrow(self) -> pa.Table: ...
    def df(self) -> Any: ...
    def pl(self) -> Any: ...
    def fetchall(self) -> list[Row]: ...
    def fetchone(self) -> Row | None: ...
    def fetchmany(self, size: int = 1) -> list[Row]: ...
    def batches(self) -> Iterator[pa.RecordBatch]: ...
    def explain(self) -> str: ...


class _Rows:
    """``fetchone`` and ``fetchmany`` over an iterator of rows."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows

    def take(self, size: int | None) -> list[Row]:
        taken: list[Row] = []
        for row in self._rows:
            taken.append(row)
            if size is not None and len(taken) >= size:
                break
        return taken


class NativeResult:
    """Plain SQL: DuckDB's relation, unchanged."""

    progress: QueryProgress | None = None

    def __init__(self, relation: duckdb.DuckDBPyRelation, settle: Callable[[], None]) -> None:
        self._relation, self._settle = relation, settle
        self._cursor: _Rows | None = None
        self.notices: list[str] = []

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

    def show(self, max_rows: int = 40) -> None:
        """Print the rows."""
        with self._ready():
            self._relation.show(max_rows=max_rows)

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        with self._ready():
            return self._relation.to_arrow_table()

    def df(self) -> Any:
        """All rows as a pandas DataFrame."""
        with self._ready():
            return self._relation.df()

    def pl(self) -> Any:
        """All rows as a polars DataFrame."""
        with self._ready():
            return self._relation.pl()

    def fetchall(self) -> list[Row]:
        """The rows that are left, as Python values."""
        return self._rows().take(None)

    def fetchone(self) -> Row | None:
        """The next row; ``None`` at the end."""
        return next(iter(self._rows().take(1)), None)

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Up to ``size`` rows."""
        return self._rows().take(size)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as Arrow batches."""
        with self._ready():
            yield from self._relation.to_arrow_table().to_batches()

    def explain(self) -> str:
        """DuckDB's plan."""
        with self._ready():
            return str(self._relation.explain())

    def _rows(self) -> _Rows:
        if self._cursor is None:
            with self._ready():
                self._cursor = _Rows(iter(self._relation.fetchall()))
        return self._cursor

    @contextlib.contextmanager
    def _ready(self) -> Iterator[None]:
        self._settle()
        with translated():
            yield


class TextResult(NativeResult):
    """One text, printed as it is: EXPLAIN."""

    def show(self, max_rows: int = 40) -> None:
        """Print the text."""
        del max_rows
        for row in self._relation.fetchall():
            print(row[0])


class SemanticResult:
    """A semantic run. Rows stream; the first call that wants all of them keeps the table for later calls."""

    def __init__(self, execution: Execution, listener: Listener | None, finished: Callable[[], None]) -> None:
        self._execution, self._listener, self._finished = execution, listener, finished
        self._spool: Spool | None = None
        self._table: pa.Table | None = None
        self._cursor: _Rows | None = None
        self._closed = False

    @property
    def columns(self) -> list[str]:
        return [c.name for c in self._columns()]

    @property
    def types(self) -> list[str]:
        return [c.type for c in self._columns()]

    @property
    def progress(self) -> QueryProgress | None:
        return self._execution.run.progress

    @property
    def notices(self) -> list[str]:
        return self._execution.run.notices

    def show(self, max_rows: int = 40) -> None:
        """Print the rows, then notices."""
        with self._typed(self.arrow()) as relation:
            relation.show(max_rows=max_rows)
        for notice in self.notices:
            print(f"Notice: {notice}")

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        if self._table is None:
            if self._spool is not None:
                raise NotSupportedError("Rows of this result were already streamed; run the query again for all of them.")
            self._table = self._wait(self._read_all)
            self._end()
        return self._table

    def df(self) -> Any:
        """All rows as a pandas DataFrame (needs pandas)."""
        with self._typed(self.arrow()) as relation:
            return relation.df()

    def pl(self) -> Any:
        """All rows as a polars DataFrame (needs polars)."""
        with self._typed(self.arrow()) as relation:
            return relation.pl()

    def fetchall(self) -> list[Row]:
        """The rows that are left, as Python values."""
        return self._rows().take(None)

    def fetchone(self) -> Row | None:
        """The next row; ``None`` at the end."""
        return next(iter(self._rows().take(1)), None)

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Up to ``size`` rows."""
        return self._rows().take(size)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as Arrow batches, as soon as they are there. Closing the iterator stops the query."""
        if self._table is not None:
            yield from self._table.to_batches()
            return
        try:
            while (batch := self._wait(self._next)) is not None:
                if batch.num_rows:
                    yield batch
        finally:
            self._end()

    def explain(self) -> str:
        """The plan, with this run's figures if it has run."""
        return self._execution.explain().text

    def close(self) -> None:
        """Stop the query if it still runs."""
        self._end()

    # --- inside -------------------------------------------------------------------------------------------------

    def _columns(self) -> Sequence[Column]:
        planned = self._execution.planned.plan.columns
        if planned:
            return planned
        schema = self._wait(self._open).schema  # EMBEDDED: only DuckDB knows, once it runs
        with duckdb.connect() as bare:
            relation = bare.from_arrow(schema.empty_table())
            return [Column(n, str(t), n) for n, t in zip(relation.columns, relation.types, strict=True)]

    def _rows(self) -> _Rows:
        if self._cursor is None:
            self._cursor = _Rows(self._row_iterator())
        return self._cursor

    def _row_iterator(self) -> Iterator[Row]:
        for batch in self.batches():
            with self._typed(pa.Table.from_batches([batch])) as relation:
                rows = relation.fetchall()
            yield from rows

    @contextlib.contextmanager
    def _typed(self, table: pa.Table) -> Iterator[duckdb.DuckDBPyRelation]:
        """The table as a DuckDB relation with the types that the query announced."""
        planned = self._execution.planned.plan.columns
        names = [f"c{i}" for i in range(table.num_columns)]
        renamed = table.rename_columns(names)
        with duckdb.connect() as bare, translated():
            bare.register("__result", renamed)
            types = [c.type for c in planned] if planned else [str(t) for t in bare.table("__result").types]
            labels = [c.name.replace('"', '""') for c in planned] if planned else table.column_names
            items = [f'CAST({n} AS {t}) AS "{label}"' for n, t, label in zip(names, types, labels, strict=True)]
            yield bare.sql(f"SELECT {', '.join(items)} FROM __result")

    def _open(self) -> Spool:
        if self._spool is None:
            self._spool = self._execution.open()
        return self._spool

    def _read_all(self) -> pa.Table:
        spool = self._open()
        return pa.Table.from_batches(list(spool), schema=spool.schema)

    def _next(self) -> pa.RecordBatch | None:
        if self._closed:
            return None
        with contextlib.suppress(StopIteration):
            return self._open().read_next_batch()
        return None

    def _wait(self, work: Callable[[], Any]) -> Any:
        try:
            with translated():
                return wait_for(work, self._tell, self._interrupt)
        except KeyboardInterrupt:
            self._end()
            raise
        except BaseException as error:
            original = self._execution.run.error
            self._end()
            if isinstance(original, Error) and original is not error:
                raise original from None
            raise

    def _interrupt(self) -> None:
        self._execution.interrupt(Interrupted("The query was stopped. Answers already received are kept."))

    def _tell(self) -> None:
        progress = self._execution.run.progress
        if self._listener is not None and progress is not None:
            self._listener(progress)

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._spool is not None:
            self._spool.close()
        self._execution.close()
        self._tell()
        self._finished()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._end()
