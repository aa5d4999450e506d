"""What outlives a query, in one SQLite file that several processes may use at once."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa

from ..errors import InterfaceError, ProgrammingError
from .cache import Cache
from .certificates import Certificates
from .files import Handle, Synchronous, connect, open_store, translated
from .insert import Insert
from .prompts import Prompts
from .proxies import Proxies
from .queries import Queries
from .records import (
    CALL_COLUMNS,
    ERROR_COLUMNS,
    CallRecord,
    OptionValue,
    Reuse,
    RowError,
    StoredModel,
    UsageTotals,
    call_row,
    error_row,
    refuse_secrets,
)
from .reuses import add_reuses
from .statistics import Statistics
from .students import Students
from .tables import Rows, T
from .tariffs import AT, KEY, CallLine, Recorded, add_lines
from .traces import Traces
from .upkeep import Upkeep, keys_to_touch
from .views import ViewName, read_usage, read_view
from .writer import Writer

NOT_WAITED_FOR: tuple[ViewName, ...] = ("stage_trace", "usage", "usage_by_query", "statistics", "certificates")
"""Views of what is on its way to the store while a query already ends: they wait for it."""
KEYS_PER_STATEMENT = 512  # SQLite before 3.32 takes 999 parameters


# When two processes asked the same thing, the first answer stays, so no reader sees an answer change, unless it has expired.
INSERT_ANSWER = Insert(
    "answers",
    ("key", "model", "function", "payload", "at", "used_at"),
    "ON CONFLICT (key) DO UPDATE SET model = excluded.model, function = excluded.function, payload = excluded.payload,"
    " at = excluded.at, used_at = excluded.used_at WHERE answers.at < ?",
)
AnswerRow = tuple[bytes, str, str, bytes, float, float]
INSERT_CALL = Insert("calls", CALL_COLUMNS)
INSERT_ERROR = Insert("errors", ERROR_COLUMNS)


class Store:
    """Answers, call records, row errors and models. Every method may be called from any thread.

    >>> store = Store.open(None)
    >>> store.put_model("small", "llamacpp", {"path": "small.gguf"}, replace=False)
    >>> [model.name for model in store.models()]
    ['small']
    >>> store.lookup([bytes(32)])
    {}
    >>> store.close()
    """

    def __init__(self, path: Path | None, writing: Handle, reading: Handle) -> None:
        self.path = path
        self._pid = os.getpid()
        self._reading = reading
        self._writer = Writer(writing, path)
        self.upkeep = Upkeep(self._writer)
        weakref.finalize(self, _shut, self._writer, reading, self._pid)  # also runs when the interpreter ends

    @classmethod
    def open(cls, path: Path | None, *, synchronous: Synchronous = "NORMAL") -> Store:
        """Open the store at ``path``, making file (mode 0600) and folder if they are missing.

        Parameters
        ----------
        path : a file on a local disk; ``None`` keeps everything in memory, for this object alone.
        synchronous : ``NORMAL`` answers survive the death of the process; ``FULL`` ones also a power cut.

        Raises
        ------
        OperationalError : the place is not writable, or the file is damaged, another program's, or a newer AnserDB's.
        """
        # Absolute, because later connections must find the same file after a change of directory.
        place = path and path.absolute()
        return cls(place, *open_store(place, synchronous))

    def lookup(self, keys: Sequence[bytes], ttl_s: float | None = None) -> dict[bytes, bytes]:
        """The stored answers among ``keys``. It reads what is committed, by this or any other process.

        Parameters
        ----------
        ttl_s : older answers are not found; ``None``: all are.
        """
        self._check()
        found: list[tuple[bytes, bytes, float]] = []
        oldest = _expiry(ttl_s)
        with translated(self.path), self._reading.lock:
            for chunk in _chunks(keys):
                sql = f"SELECT key, payload, used_at FROM answers WHERE key IN ({_marks(chunk)}) AND at >= ?"
                found += self._reading.connection.execute(sql, [*chunk, oldest]).fetchall()
        self.upkeep.used(keys_to_touch(found))
        return {key: payload for key, payload, _ in found}

    def save(self, record: CallRecord, answer: bytes | None) -> Future[None]:
        """Keep a call's record, and its answer under ``record.key`` unless one is there.

        The future resolves once both are durable, or with ``OperationalError`` if they cannot be written (disk full).
        """
        return self.save_all([(record, answer)])

    def save_all(self, saved: Sequence[tuple[Recorded, bytes | None]], ttl_s: float | None = None) -> Future[None]:
        """:meth:`save` for many at once, all or none of them, also as lines (:data:`CallLine`); an answer older than
        ``ttl_s`` gives way to a new one."""
        self._check()
        expired = _expiry(ttl_s)
        answers, calls, lines = list[AnswerRow](), list[tuple[object, ...]](), list[CallLine]()
        for record, answer in saved:
            if isinstance(record, CallRecord):
                calls.append(call_row(record))
                if answer is not None:
                    answers.append((record.key, record.model, record.function, answer, record.at, record.at))
            else:
                lines.append(record)
                if answer is not None:
                    answers.append((record[KEY], record[0].model, record[0].function, answer, record[AT], record[AT]))

        def work(connection: sqlite3.Connection) -> None:
            INSERT_ANSWER.rows(connection, answers, expired)
            if lines:
                add_lines(connection, lines)
            INSERT_CALL.rows(connection, calls)

        saving = self._writer.submit(work)
        self.upkeep.saved(len(saved))
        return saving

    def keep(
        self, answers: Sequence[tuple[bytes, bytes]], model: str, function: str, ttl_s: float | None = None
    ) -> Future[None]:
        """Answers by key that have no call of their own (rows that shared a prompt); else as :meth:`save_all`."""
        self._check()
        now, expired = time.time(), _expiry(ttl_s)
        rows = [(key, model, function, answer, now, now) for key, answer in answers]

        def work(connection: sqlite3.Connection) -> None:
            INSERT_ANSWER.rows(connection, rows, expired)

        return self._writer.submit(work)

    def save_reuses(self, reuses: Sequence[Reuse]) -> Future[None]:
        """Add answers that were found to those of their query and call site; the future is as for :meth:`save`."""
        return self.submit(partial(add_reuses, reuses=reuses))

    def save_error(self, error: RowError) -> Future[None]:
        """Add a line to the error ledger; the future is as for :meth:`save`."""
        self._check()
        row = error_row(error)

        def work(connection: sqlite3.Connection) -> None:
            INSERT_ERROR.rows(connection, [row])

        return self._writer.submit(work)

    def forget(self, *, keys: Iterable[bytes] | None = None, model: str | None = None, everything: bool = False) -> int:
        """Delete answers: those of ``keys``, those of ``model``, or all. Records of the calls stay; they are the bill.

        Returns
        -------
        How many answers were deleted.
        """
        self._check()
        if sum((keys is not None, model is not None, everything)) != 1:
            raise ValueError("give exactly one of keys, model and everything")
        wanted = list(keys or ())

        def work(connection: sqlite3.Connection) -> int:
            if everything:
                return connection.execute("DELETE FROM answers").rowcount
            if model is not None:
                return connection.execute("DELETE FROM answers WHERE model = ? COLLATE NOCASE", [model]).rowcount
            delete = "DELETE FROM answers WHERE key IN"
            return sum(connection.execute(f"{delete} ({_marks(chunk)})", chunk).rowcount for chunk in _chunks(wanted))

        return self._writer.submit(work).result()

    def put_model(self, name: str, provider: str, options: Mapping[str, OptionValue], *, replace: bool) -> None:
        """Remember a model.

        Raises
        ------
        ProgrammingError : the name is taken and ``replace`` is false, or an option holds a secret.
        """
        self._check()
        refuse_secrets(options)
        verb, columns = "REPLACE" if replace else "INSERT OR IGNORE", "(name, provider, options, created_at)"
        row = (name, provider, json.dumps(dict(options), sort_keys=True, allow_nan=False), time.time())

        def work(connection: sqlite3.Connection) -> None:
            if not connection.execute(f"{verb} INTO models {columns} VALUES (?, ?, ?, ?)", row).rowcount:
                raise ProgrammingError(f"model {name!r} exists: change it with CREATE OR REPLACE MODEL")

        self._writer.submit(work).result()

    def drop_model(self, name: str) -> bool:
        """Forget a model (its answers stay); false if there is none of that name."""
        self._check()

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM models WHERE name = ?", [name]).rowcount > 0

        return self._writer.submit(work).result()

    def rename_model(self, name: str, new_name: str) -> bool:
        """Give a model another name; false if there is none of that name.

        Raises
        ------
        ProgrammingError : the new name is taken.
        """

        def work(connection: sqlite3.Connection) -> bool:
            try:
                return connection.execute("UPDATE models SET name = ? WHERE name = ?", [new_name, name]).rowcount > 0
            except sqlite3.IntegrityError:
                raise ProgrammingError(f"model {new_name!r} exists: drop it first with DROP MODEL") from None

        return self.submit(work).result()

    def models(self) -> list[StoredModel]:
        """The stored models by name."""
        rows = self.fetch("SELECT name, provider, options, created_at FROM models ORDER BY name")
        return [StoredModel(name, provider, json.loads(options), at) for name, provider, options, at in rows]

    @property
    def prompts(self) -> Prompts:
        """Named instructions and their versions."""
        return Prompts(self)

    @property
    def proxies(self) -> Proxies:
        """Students with a name."""
        return Proxies(self)

    @property
    def traces(self) -> Traces:
        """When calls waited and ran, on which device."""
        return Traces(self)

    @property
    def statistics(self) -> Statistics:
        """What calls were like."""
        return Statistics(self)

    @property
    def certificates(self) -> Certificates:
        """What was proved of calls' answers."""
        return Certificates(self)

    @property
    def students(self) -> Students:
        """What learnt from models' answers."""
        return Students(self)

    @property
    def cache(self) -> Cache:
        """The answers, to be forgotten."""
        return Cache(self, self._reading, self.path)

    @property
    def queries(self) -> Queries:
        """Statements that had failed rows."""
        return Queries(self)

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run ``work`` in the writer's transaction; the future resolves once it is durable."""
        self._check()
        return self._writer.submit(work)

    def fetch(self, sql: str, parameters: Sequence[object] = ()) -> Rows:
        """Rows of what is committed."""
        self._check()
        with translated(self.path), self._reading.lock:
            return self._reading.connection.execute(sql, parameters).fetchall()

    def query(self, view: ViewName, *, query_id: str | None = None, limit: int | None = None) -> pa.Table:
        """A view as an Arrow table.

        Parameters
        ----------
        view : ``calls``, ``errors``, ``certificates`` and ``stage_trace`` (newest first), ``usage`` (a row per model
            and function), ``usage_by_query`` (also per day and query), ``statistics``, ``models``.
        query_id : only this query's; not for ``statistics`` and ``models``.
        limit : at most so many rows.
        """
        self._check()
        if view in NOT_WAITED_FOR:
            self.traces.settle()
        with translated(self.path), self._viewing() as connection:
            return read_view(connection, view, query_id, limit)

    def usage(self, query_id: str) -> UsageTotals:
        """What the calls of one query add up to."""
        self._check()
        with translated(self.path), self._reading.lock:
            return read_usage(self._reading.connection, query_id)

    def close(self) -> None:
        """Write what is pending, then close; idempotent. Without it the end of the interpreter does the same."""
        if os.getpid() == self._pid:
            self.upkeep.write_uses()
        _shut(self._writer, self._reading, self._pid)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({str(self.path) if self.path else None!r})"

    def _check(self) -> None:
        if os.getpid() != self._pid:
            raise InterfaceError(
                "the store was opened before a fork, which SQLite forbids to share: open it in the child"
            )
        if self._writer.closed:
            raise InterfaceError("the answer store is closed")

    @contextmanager
    def _viewing(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for a long read, so that look-ups do not wait for it."""
        if self.path is None:
            with self._reading.lock:
                yield self._reading.connection
            return
        connection = connect(self.path)
        try:
            yield connection
        finally:
            connection.close()


def _shut(writer: Writer, reading: Handle, pid: int) -> None:
    if os.getpid() == pid:  # a forked child has neither the thread nor the locks
        writer.close()
        reading.close()


def _expiry(ttl_s: float | None) -> float:
    """Unix time before which answers have expired."""
    return 0.0 if ttl_s is None else time.time() - ttl_s


def _chunks(keys: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Pieces as long as a power of two (the last key repeats), so that a few prepared statements serve all sizes."""
    for start in range(0, len(keys), KEYS_PER_STATEMENT):
        chunk = list(keys[start : start + KEYS_PER_STATEMENT])
        size = 1 << (len(chunk) - 1).bit_length()
        yield chunk + chunk[-1:] * (size - len(chunk))


def _marks(chunk: Sequence[bytes]) -> str:
    return ", ".join("?" * len(chunk))
