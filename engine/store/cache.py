"""Answers as a cache: forgetting them by hand, giving their space back, and how much they take."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .files import Handle, connect, translated
from .tables import Tables

ROWS_PER_STEP = 1_000


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes that the store's files took before and after."""

    before: int
    after: int


class Cache:
    """The answers of a store.

    Parameters
    ----------
    tables : the store. handle : its connection for readers. path : its file; ``None``: it is in memory.
    """

    def __init__(self, tables: Tables, handle: Handle, path: Path | None) -> None:
        self._tables, self._handle, self._path = tables, handle, path

    def clear(self, *, model: str | None = None, function: str | None = None, older_than_s: float | None = None) -> int:
        """Forget answers, and say how many; call records stay.

        Parameters
        ----------
        model, function : only theirs, by names in any (ASCII) case. older_than_s : only those made so long ago.
        """
        conditions, values = ["TRUE"], list[object]()
        for column, value in (("model", model), ("function", function)):
            if value is not None:
                conditions.append(f"{column} = ? COLLATE NOCASE")
                values.append(value)
        if older_than_s is not None:
            conditions.append("at <= ?")
            values.append(time.time() - older_than_s)
        # Picked by rowid, in steps: others want to write, too.
        picked = f"SELECT rowid FROM answers WHERE rowid > ? AND {' AND '.join(conditions)} ORDER BY rowid LIMIT {ROWS_PER_STEP}"
        gone = last = 0
        while rows := [row[0] for row in self._tables.fetch(picked, [last, *values])]:
            gone += self._drop(rows)
            last = rows[-1]
        return gone

    def count(self, *, model: str, function: str) -> int:
        """How many there are of a model and a function."""
        counted = "SELECT count(*) FROM answers WHERE model = ? COLLATE NOCASE AND function = ?"
        return int(self._tables.fetch(counted, [model, function])[0][0])

    def bytes(self) -> int:
        """What the answers take, roughly: their payloads, and 200 bytes each for keys and indexes."""
        return int(self._tables.fetch("SELECT bytes FROM cache_size")[0][0])

    def compact(self) -> Space:
        """Give free space back to the file system. The file is written anew: that takes a while and as much room again.

        Raises
        ------
        OperationalError : the disk is full, or another process has kept the store locked for a minute.
        """
        if self._path is None:
            with self._handle.lock:
                before = _pages(self._handle.connection)
                self._handle.connection.execute("VACUUM")
                return Space(before, _pages(self._handle.connection))
        with translated(self._path):
            before = self._size()
            connection = connect(self._path)
            try:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.close()
            return Space(before, self._size())

    def _drop(self, rows: Sequence[int]) -> int:
        def work(connection: sqlite3.Connection) -> int:
            marks = ", ".join("?" * len(rows))
            return connection.execute(f"DELETE FROM answers WHERE rowid IN ({marks})", list(rows)).rowcount

        return self._tables.submit(work).result()

    def _size(self) -> int:
        assert self._path is not None
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())


def _pages(connection: sqlite3.Connection) -> int:
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages) * int(size)
