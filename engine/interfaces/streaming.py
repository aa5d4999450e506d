"""Queries over a source that may never end: its rows are answered in micro-batches, each by a run of the same statement."""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import pyarrow as pa

from ..errors import DatabaseError, DataError, Interrupted, ProgrammingError
from ..physical.python_names import variables_of_caller
from ..physical.stopping import STOPPED
from .result import Result
from .waiting import Waiting

Source: TypeAlias = pa.RecordBatchReader | Iterable[pa.RecordBatch | pa.Table]
"""Arrow rows of one schema, as they come."""

ROWS = 1000
"""Of a micro-batch: planning one takes as long as a few hundred rows that need no model."""
PAUSE_S = 0.1
"""A source that gives nothing for so long has paused: what has come is answered, however little it is."""
PATIENCE_S = 0.5
"""How long ending a stream waits for a source that is in the middle of its next rows."""


class Feed:
    """Reads a source in a thread of its own, so that a slow one keeps nobody from stopping the stream.

    It is at most ``rows`` rows ahead, beside the piece that the source gives at once.

    Parameters
    ----------
    source : what is read; closed when it has ended or is not wanted any more. rows : most of a micro-batch.
    """

    def __init__(self, source: Source, rows: int) -> None:
        self._source, self._rows = source, rows
        self._pieces: deque[pa.Table] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._schema: pa.Schema | None = None
        self._error: BaseException | None = None
        self._came = 0.0
        self._ended = self._unwanted = False

    def take(self) -> pa.Table | None:
        """The next micro-batch: as soon as it is full, or the source pauses or ends; ``None`` at the end.

        Raises
        ------
        Interrupted : :meth:`stop` was called. Whatever the source raised, once the rows before it are taken.
        """
        self._start()
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._over)
            while not self._over and self._held < self._rows and (left := self._came + PAUSE_S - time.monotonic()) > 0:
                self._changed.wait(left)
            if self._unwanted:
                raise Interrupted(STOPPED)
            if self._pieces:
                return self._gathered()
        if self._error is not None:
            raise self._error
        return None

    def stop(self) -> None:
        """Nobody wants more: who waits in :meth:`take` gets Interrupted. From any thread; it does not wait."""
        self._unwanted = True
        with self._changed:  # re-entrant: a signal handler may have interrupted the very thread that holds it
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, and have the source closed by who reads it; one that hangs is left behind."""
        self.stop()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)

    @property
    def _over(self) -> bool:
        return self._ended or self._unwanted

    def _gathered(self) -> pa.Table:
        taken: list[pa.Table] = []
        rows = 0
        while self._pieces and (not taken or rows + self._pieces[0].num_rows <= self._rows):
            taken.append(self._pieces.popleft())
            rows += taken[-1].num_rows
        self._held -= rows
        self._changed.notify_all()
        return pa.concat_tables(taken)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, name="anserdb-stream", daemon=True)
            self._thread.start()

    def _read(self) -> None:
        try:
            for item in self._source:
                if not self._keep(self._checked(item)):
                    break
        except BaseException as error:  # the source is the user's: whatever it raises is told where its rows are read
            self._error = error
        with suppress(Exception):
            getattr(self._source, "close", _nothing)()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _keep(self, rows: pa.Table) -> bool:
        """Have rows taken, as soon as there is room; false: nobody wants them."""
        for start in range(0, rows.num_rows, self._rows):
            piece = rows.slice(start, self._rows)
            with self._changed:
                self._changed.wait_for(lambda: self._unwanted or self._held < self._rows)
                if self._unwanted:
                    return False
                self._pieces.append(piece)
                self._held += piece.num_rows
                self._came = time.monotonic()
                self._changed.notify_all()
        return not self._unwanted

    def _checked(self, item: Any) -> pa.Table:
        if isinstance(item, pa.RecordBatch):
            item = pa.Table.from_batches([item])
        if not isinstance(item, pa.Table):
            raise DataError(f"A stream's source gives Arrow record batches or tables, not {type(item).__name__}.")
        if self._schema is None:
            self._schema = item.schema
        if not item.schema.equals(self._schema):
            raise DataError(
                f"A stream has one schema: it began with ({_words(self._schema)}), then came ({_words(item.schema)})."
            )
        return item


class Streaming(ABC):
    """The part of a connection that answers streams."""

    sees_variables: bool
    _waiting: Waiting

    def stream(self, sql: str, source: Source, *, name: str = "stream", rows: int = ROWS) -> Iterator[pa.RecordBatch]:
        """Run a statement over a source that may never end, in micro-batches, and give the results as they come.

        Each micro-batch is a run of the statement by itself: aggregates, ORDER BY, LIMIT and budgets are of a micro-batch. What
        answers and students have learnt goes on from one to the next. Memory holds two of them, whatever the source has.
        Closing the iterator (or Ctrl-C, or :meth:`interrupt`) stops what is under way, and closes the source.

        Parameters
        ----------
        sql : with the source's rows as a table. source : a ``pyarrow.RecordBatchReader``, or record batches or tables of one
            schema as they come; it is read in a thread of its own. name : what ``sql`` calls it.
        rows : most of a micro-batch; one is smaller where the source pauses or ends.

        Raises
        ------
        ProgrammingError : ``sql`` does not read the stream, or a table hides it. While iterating: what :meth:`sql` raises; and
            whatever the source raises, after the results of the rows before.

        >>> import anserdb, pyarrow as pa
        >>> con = anserdb.connect(store=":memory:", llm_model="scripted")
        >>> source = (pa.table({"i": [n, n + 1]}) for n in (1, 3))
        >>> [row["i"] for batch in con.stream("SELECT i FROM stream WHERE i <> 2", source) for row in batch.to_pylist()]
        [1, 3, 4]
        >>> con.close()
        """
        self._check(sql, name, rows)
        variables = variables_of_caller(sql) if self.sees_variables else {}
        return self._streamed(Feed(source, rows), partial(self._over_rows, sql, variables, name))

    @abstractmethod
    def table_columns(self, name: str) -> list[tuple[str, str]]:
        """Names and types of a table's columns."""

    @abstractmethod
    def _over(self, query: str, variables: dict[str, Any]) -> Result | None:
        """Run a statement that sees these variables."""

    def _over_rows(self, sql: str, variables: dict[str, Any], name: str, rows: pa.Table) -> Result | None:
        return self._over(sql, {**variables, name: rows})

    def _streamed(self, feed: Feed, asks: Callable[[pa.Table], Result | None]) -> Iterator[pa.RecordBatch]:
        unwatch = self._waiting.watch(feed.stop)
        try:
            while (rows := self._waiting.wait(feed.take, feed.stop)) is not None:
                if (result := asks(rows)) is not None:
                    yield from _batches(result)
        finally:
            unwatch()
            feed.close()

    def _check(self, sql: str, name: str, rows: int) -> None:
        if rows < 1:
            raise ProgrammingError(f"con.stream(…, rows={rows}): a micro-batch has at least one row.")
        if not name.isidentifier():
            raise ProgrammingError(f"con.stream(…, name={name!r}): the name of a stream has to be a plain word.")
        if not re.search(rf"\b{name}\b", sql):
            raise ProgrammingError(f"The statement does not read the stream: write FROM {name}, or give its name.")
        if self._is_table(name):
            raise ProgrammingError(f"There is a table {name}, which hides the stream: con.stream(…, name='another').")

    def _is_table(self, name: str) -> bool:
        try:
            return bool(self.table_columns(f'"{name}"'))
        except DatabaseError:
            return False


def _batches(result: Result) -> Iterator[pa.RecordBatch]:
    try:
        yield from result.batches()
    finally:
        result.close()


def _words(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _nothing() -> None:
    """There is nothing to close."""
