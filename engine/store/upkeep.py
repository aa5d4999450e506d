"""What the store does about its size, in the background and in small steps.

Answers: once ``llm_cache_max_mb`` is passed, the least recently used ones go; those that a query under way has made or used
stay until it has ended, so that what it has paid for is there if it is killed. Call records: the newest million that were
answered and the newest million others stay, and of older ones their sums by day, model and function; of queries that found
answers, and of row errors, the newest hundred thousand; and the tariffs of the calls that stay.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

from ..errors import InterfaceError
from .views import AVOIDED, SUMS, TOTALS
from .writer import Writer

MOST_CALLS = 1_000_000
MOST_ERRORS = 100_000
MOST_REUSES = 100_000
MOST_TARIFFS = 100_000
"""Only beyond so many somebody looks which are needed: there are few for a query, and to look takes a while."""
STEP = 500
"""Rows that one step deletes at most; others write between two steps."""
LOOK_EVERY = 2_000
"""Saved calls between two looks at the sizes."""
COARSE_S = 600.0
"""Uses of an answer within so many seconds are one: the time of its last use is that much behind."""
MOST_TOUCHED = 1_000
TOUCH = "UPDATE answers SET used_at = ? WHERE key = ?"
OLDEST = "SELECT rowid, length(payload) + 200 FROM answers WHERE used_at < ? ORDER BY used_at LIMIT ?"


def _fold(names: Sequence[str], totals: str, table: str) -> str:
    """Add what goes to the sums of its day, model and function."""
    added = ", ".join(
        f"{n} = CASE WHEN excluded.{n} IS NULL THEN {n} ELSE coalesce({n}, 0) + excluded.{n} END" for n in names
    )
    return f"""INSERT INTO past_usage (day, model, function, {", ".join(names)})
        SELECT strftime('%Y-%m-%d', at, 'unixepoch'), model, function, {totals} FROM {table} WHERE id <= ? GROUP BY 1, 2, 3
        ON CONFLICT (day, model, function) DO UPDATE SET {added}"""


# Columns of the sums of calls that may not be NULL; answers that were found add nothing to them.
_NOTHING = ("calls", "failed_calls", "retries", "seconds", "unknown_token_calls", "unknown_cost_calls")
FOLDS = {
    "calls": _fold(SUMS, TOTALS, "calls"),
    "answered": _fold(SUMS, TOTALS, "answered_calls"),
    "reuses": _fold(
        (*_NOTHING, *AVOIDED), ", ".join([*("0" for _ in _NOTHING), *(f"sum({n})" for n in AVOIDED)]), "reuses"
    ),
}


class Underway(Protocol):
    """A query: when it began (``time.monotonic``), whether it has ended, and the call sites it has begun."""

    started: float
    finished: float | None

    @property
    def begun(self) -> bool:
        """Whether it has begun to ask."""
        ...


class Upkeep:
    """The sizes of one store.

    Parameters
    ----------
    writer : the store's. most_calls, most_errors, most_reuses : records that stay. most_tariffs : see there.
    """

    def __init__(
        self,
        writer: Writer,
        most_calls: int = MOST_CALLS,
        most_errors: int = MOST_ERRORS,
        most_reuses: int = MOST_REUSES,
        most_tariffs: int = MOST_TARIFFS,
    ) -> None:
        self._writer, self._most_tariffs = writer, most_tariffs
        self._most = {"calls": most_calls, "answered": most_calls, "errors": most_errors, "reuses": most_reuses}
        self._most_bytes: int | None = None
        self._queries: WeakSet[Underway] = WeakSet()
        self._touched: dict[bytes, float] = {}
        self._lock = threading.Lock()
        self._saved = 0
        self._busy = False

    def attend(self, query: Underway, most_mb: float | None) -> None:
        """A query begins, under ``llm_cache_max_mb`` (``None``: no cap)."""
        with self._lock:
            self._queries.add(query)
            self._most_bytes = None if most_mb is None else int(most_mb * 1e6)

    def used(self, keys: Iterable[bytes]) -> None:
        """Answers that were not used for a while are used now."""
        now = time.time()
        with self._lock:
            self._touched.update(dict.fromkeys(keys, now))
            full = len(self._touched) >= MOST_TOUCHED
        if full:
            self.write_uses()

    def saved(self, calls: int) -> None:
        """So many calls were recorded."""
        self._saved += calls
        if self._saved >= LOOK_EVERY:
            self.tidy()

    def ended(self) -> None:
        """A query has ended: what it kept may go."""
        if self._most_bytes is not None:
            self.tidy()

    def tidy(self) -> None:
        """Bring everything within its limits, sooner or later; it never waits and never fails."""
        with self._lock:
            self._saved = 0
            if self._busy:
                return
            self._busy = True
        self.write_uses()
        self._submit()

    def _submit(self) -> None:
        try:
            self._writer.submit(self._step).add_done_callback(self._again)
        except InterfaceError:  # closed
            self._busy = False

    def _again(self, step: Future[bool]) -> None:
        # Not fixed here: a full disk or a damaged file is told to whoever saves next.
        if step.exception() is None and step.result():
            self._submit()
        else:
            self._busy = False

    def write_uses(self) -> None:
        """Have what was used written down."""
        with self._lock:
            touched, self._touched = self._touched, {}
        rows = [(at, key) for key, at in touched.items()]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(TOUCH, rows)

        if rows:
            with suppress(InterfaceError):
                self._writer.submit(work)

    def _step(self, connection: sqlite3.Connection) -> bool:
        """One step of everything; whether there is more to do."""
        more = any([self._evict(connection), *[self._trim(connection, table) for table in self._most]])
        if not more:
            self._drop_tariffs(connection)
        return more

    def _drop_tariffs(self, connection: sqlite3.Connection) -> None:
        """Forget those whose calls have all gone."""
        if connection.execute("SELECT count(*) FROM tariffs").fetchone()[0] > self._most_tariffs:
            connection.execute("DELETE FROM tariffs WHERE id NOT IN (SELECT tariff FROM answered)")

    def _evict(self, connection: sqlite3.Connection) -> bool:
        if self._most_bytes is None:
            return False
        excess = connection.execute("SELECT bytes FROM cache_size").fetchone()[0] - self._most_bytes
        going: list[int] = []
        for row, size in connection.execute(OLDEST, [self._needed_since(), STEP]).fetchall() if excess > 0 else ():
            if excess <= 0:
                break
            going.append(row)
            excess -= size
        connection.execute(f"DELETE FROM answers WHERE rowid IN ({', '.join('?' * len(going))})", going)
        return excess > 0 and len(going) == STEP

    def _needed_since(self) -> float:
        """When the oldest query under way began, on the wall clock; answers from then on stay."""
        with self._lock:
            begun = [query.started for query in self._queries if query.begun and query.finished is None]
        return time.time() - (time.monotonic() - min(begun)) if begun else math.inf

    def _trim(self, connection: sqlite3.Connection, table: str) -> bool:
        bound = self._bound(connection, table)
        if bound is None:
            return False
        if table in FOLDS:
            connection.execute(FOLDS[table], [bound])
        connection.execute(f"DELETE FROM {table} WHERE id <= ?", [bound])
        return self._bound(connection, table) is not None

    def _bound(self, connection: sqlite3.Connection, table: str) -> int | None:
        """The last id of this step's rows, the oldest of too many; ``None``: they are not too many."""
        first, last = connection.execute(f"SELECT min(id), max(id) FROM {table}").fetchone()
        if first is None or last - first < self._most[table]:
            return None
        return int(min(first + STEP - 1, last - self._most[table]))


def keys_to_touch(found: Sequence[tuple[bytes, bytes, float]]) -> list[bytes]:
    """Of answers that were found (key, payload, last use), those whose last use has to be written down."""
    stale = time.time() - COARSE_S
    return [key for key, _, used_at in found if used_at < stale]
