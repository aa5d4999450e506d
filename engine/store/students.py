"""Students of call sites: what learnt from a model's answers, kept by task for the next query that asks the same."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future
from dataclasses import astuple, dataclass

from .tables import Tables

KEPT = 1000
"""Tasks; those that nobody taught for the longest time give way."""


@dataclass(frozen=True, slots=True)
class StoredStudents:
    """All students of one task.

    Parameters
    ----------
    task : digest of what is asked, who answers, and which students there are. function, model, about : for people.
    met : inputs that they have seen. body : what they are, in bytes. updated_at : Unix time.
    """

    task: str
    function: str
    model: str
    about: str
    met: int
    body: bytes
    updated_at: float


_COLUMNS = "task, function, model, about, met, body, updated_at"


class Students:
    """The table ``students``.

    Parameters
    ----------
    tables : the store's. kept : see :data:`KEPT`.
    """

    def __init__(self, tables: Tables, kept: int = KEPT) -> None:
        self._tables, self._kept = tables, kept

    def of(self, task: str) -> StoredStudents | None:
        """The students of a task; ``None``: it has none yet."""
        rows = self._tables.fetch(f"SELECT {_COLUMNS} FROM students WHERE task = ?", [task])
        return StoredStudents(*rows[0]) if rows else None

    def stamp(self, task: str) -> tuple[int, float]:
        """How many inputs the students of a task have seen, and when they were kept last (Unix time); 0 and 0: it has none."""
        rows = self._tables.fetch("SELECT met, updated_at FROM students WHERE task = ?", [task])
        return rows[0] if rows else (0, 0.0)

    def put(self, students: StoredStudents) -> Future[None]:
        """Keep a task's students in the place of those it had; the future resolves once they are durable."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(f"REPLACE INTO students ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(students))
            oldest = "SELECT task FROM students ORDER BY updated_at DESC, task LIMIT -1 OFFSET ?"
            connection.execute(f"DELETE FROM students WHERE task IN ({oldest})", [self._kept])

        return self._tables.submit(work)
