"""One semantic run being read. A result owns it and ends it; what fetches rows holds only this, so that no cycle keeps either."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from ..dataflow.progress import QueryProgress
from ..errors import Error, InterfaceError, InternalError, Interrupted, NotSupportedError
from ..physical.duck import Duck
from ..physical.execution import Execution
from ..physical.spool import Spool
from ..physical.stopping import STOPPED
from .rows import Row
from .translate import translate, translated
from .typed_rows import TypedRows
from .waiting import Waiting

T = TypeVar("T")
Listener = Callable[[QueryProgress], None]


class Reading:
    """Opens the run at the first look at its rows, reads it, and closes it at the end, at an error or when told to.

    Parameters
    ----------
    variables : the caller's Python variables that the statement may name as tables.
    """

    def __init__(
        self,
        execution: Execution,
        duck: Duck,
        waiting: Waiting,
        variables: dict[str, Any],
        listener: Listener | None,
    ) -> None:
        self.execution = execution
        self._duck, self._waiting, self._variables, self._listener = duck, waiting, variables, listener
        execution.run.progress.watched = listener is not None
        self._opened: tuple[Spool, TypedRows] | None = None
        self._table: pa.Table | None = None
        self._over: BaseException | None = None
        self._started = self._ended = self._kept_given = self._closed = False
        self._closing = threading.RLock()
        self._unwatch: Callable[[], None] = _nothing

    @property
    def closed(self) -> bool:
        """Whether it holds nothing any more."""
        return self._closed

    @property
    def begun(self) -> bool:
        """Whether somebody has looked at its rows."""
        return self._opened is not None or self._over is not None

    @property
    def complete(self) -> bool:
        """Whether all rows are kept."""
        return self._table is not None

    def explain(self) -> str:
        """The plan, with this run's figures once it has begun."""
        return self.execution.explain(ran=self._opened is not None or self._ended).text

    # --- reading ------------------------------------------------------------------------------------------------

    def columns(self) -> list[tuple[str, str]]:
        """Names and types."""
        planned = self.execution.planned.plan.columns
        if planned:
            return [(c.name, c.type) for c in planned]
        spool = self._open()[0]  # only DuckDB knows, once it runs
        return list(zip(spool.names, spool.types, strict=True))

    def typed(self) -> TypedRows:
        """Conversions to what was announced."""
        return self._open()[1]

    def table(self) -> pa.Table:
        """All rows, kept for the next time."""
        if self._table is None:
            if self._started:
                raise NotSupportedError(
                    "Rows of this result were already streamed; run the query again for all of them."
                )
            spool = self._open()[0]
            self._table = self._wait(lambda: pa.Table.from_batches(list(spool), schema=spool.schema))
            self._finish()
        return self._table

    def batch(self) -> pa.RecordBatch | None:
        """The next batch that has rows; ``None`` at the end."""
        self._started = True
        while not self._ended:
            spool = self._open()[0]
            batch = self._wait(partial(next, iter(spool), None))
            if batch is None:
                self._finish()
            elif batch.num_rows:
                return batch
        return None

    def rows(self) -> list[Row] | None:
        """The rows of the next batch; ``None`` at the end."""
        if self._table is None:
            batch = self.batch()
            return None if batch is None else self.typed().rows(batch)
        if self._kept_given:
            return None
        self._kept_given = True
        with self.typed().relation(self._table) as relation:
            return relation.fetchall()

    # --- ending -------------------------------------------------------------------------------------------------

    def stop(self, why: str = STOPPED) -> None:
        """Stop what is under way, from any thread; who waits for it gets ``Interrupted``."""
        self.execution.interrupt(Interrupted(why))

    def close(self, why: Error | None = None) -> None:
        """Give back what the run holds; idempotent. Reading on raises ``why``."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._unwatch()
            if not self._ended and self._over is None:
                self._over = why or InterfaceError("The result is closed.")
            try:
                if self._opened is not None:
                    self._opened[0].close()
            finally:
                self.execution.close()

    def _finish(self) -> None:
        self._ended = True
        self.close()
        self._tell()

    # --- waiting ------------------------------------------------------------------------------------------------

    def _open(self) -> tuple[Spool, TypedRows]:
        if self._opened is None:
            if self._over is not None:
                raise self._over
            self._unwatch = self._waiting.watch(self.stop)
            self._opened = self._wait(self._start)
        return self._opened

    def _start(self) -> tuple[Spool, TypedRows]:
        with self._duck.lock, self._duck.seeing(self._variables):
            bare = self._duck.bare()  # before the result is open: it asks for the session's settings
            try:
                spool = self.execution.open()
            except BaseException:
                bare.close()
                raise
            planned = self.execution.planned.plan.columns
            names = [c.name for c in planned] or spool.names
            return spool, TypedRows(bare, names, [c.type for c in planned] or spool.types)

    def _wait(self, work: Callable[[], T]) -> T:
        if self._over is not None:
            raise self._over
        try:
            self.execution.run.check()  # somebody stopped it while nobody read
            with translated():
                return self._waiting.wait(work, self.stop, self._tell)
        except KeyboardInterrupt:
            self._fail(Interrupted(STOPPED))
            raise
        except Exception as error:
            cause = self._cause(error)
            self._fail(cause)
            if cause is error:
                raise
            raise cause from None

    def _cause(self, error: Exception) -> Exception:
        """The error as it was raised; DuckDB, in between, keeps only a text."""
        original = self.execution.run.error or error
        if isinstance(original, Error):
            return original
        cause = _ours(original)
        cause.__cause__ = original
        return cause

    def _fail(self, error: BaseException) -> None:
        if self._over is None:
            self._over = error
        self.close()
        self._tell()

    def _tell(self) -> None:
        if self._listener is not None:
            self._listener(self.execution.run.progress)


def _nothing() -> None:
    """Nobody watches it."""


def _ours(error: BaseException) -> Error:
    match error:
        case duckdb.Error():
            return translate(error)
        case pa.ArrowNotImplementedError():
            return NotSupportedError(
                f"A column of this query has a type that cannot pass by the semantic functions ({error}). "
                "Cast it, for instance to VARCHAR, below them."
            )
        case _:
            return InternalError(f"{type(error).__name__}: {error}")
