"""Prompts: instructions with a name. A replaced one keeps its old versions, so that ``name@1`` means the same for ever."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from ..errors import ProgrammingError
from .tables import Tables


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """One version of a prompt; ``current`` is the newest of its name."""

    name: str
    version: int
    text: str
    created_at: float
    current: bool


class Prompts:
    """The prompts of a store; names compare without regard to (ASCII) case.

    Parameters
    ----------
    tables : the store.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put(self, name: str, text: str, *, replace: bool) -> int:
        """Keep a prompt, and give its version: 1, or one more than the newest. The newest text again makes no version.

        Raises
        ------
        ProgrammingError : the name is taken and ``replace`` is false.
        """

        def work(connection: sqlite3.Connection) -> int:
            newest = "SELECT name, version, text FROM prompts WHERE name = ? ORDER BY version DESC LIMIT 1"
            known, version, old = connection.execute(newest, [name]).fetchone() or (name, 0, None)
            if version and not replace:
                raise ProgrammingError(
                    f"Prompt {known} exists: CREATE OR REPLACE PROMPT {known} makes version {version + 1}."
                )
            if text == old:
                return int(version)
            insert = "INSERT INTO prompts (name, version, text, created_at) VALUES (?, ?, ?, ?)"
            connection.execute(insert, [known, version + 1, text, time.time()])
            return int(version) + 1

        return self._tables.submit(work).result()

    def drop(self, name: str) -> bool:
        """Forget all versions of a prompt; false if there is none of that name."""

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM prompts WHERE name = ?", [name]).rowcount > 0

        return self._tables.submit(work).result()

    def all(self) -> list[StoredPrompt]:
        """Every version of every prompt, by name, the newest first."""
        sql = """
            SELECT name, version, text, created_at, version = max(version) OVER (PARTITION BY name)
            FROM prompts ORDER BY name, version DESC"""
        return [StoredPrompt(n, v, t, at, bool(current)) for n, v, t, at, current in self._tables.fetch(sql)]
