"""Right answers that users gave to calls, by what was asked and of which inputs."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from .tables import Tables

_PUT = """INSERT INTO feedback (task, input, answer, at) VALUES (?, ?, ?, ?)
    ON CONFLICT (task, input) DO UPDATE SET answer = excluded.answer, at = excluded.at"""


class Feedback:
    """The table ``feedback``.

    Parameters
    ----------
    tables : the store's.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put(self, task: str, answers: Mapping[str | bytes, Any]) -> int:
        """Keep answers by input key; the latest for an input holds. Gives how many there are now of the task.

        Raises
        ------
        TypeError : an answer is nothing that JSON has.
        """
        now = time.time()
        rows = [(task, key, json.dumps(answer), now) for key, answer in answers.items()]

        def work(connection: sqlite3.Connection) -> int:
            connection.executemany(_PUT, rows)
            return int(connection.execute("SELECT count(*) FROM feedback WHERE task = ?", [task]).fetchone()[0])

        return self._tables.submit(work).result()

    def of(self, task: str) -> dict[str | bytes, Any]:
        """Right answers of a task by input key."""
        found = self._tables.fetch("SELECT input, answer FROM feedback WHERE task = ?", [task])
        return {key: json.loads(answer) for key, answer in found}
