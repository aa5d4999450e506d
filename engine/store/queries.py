"""Statements that had failed rows, kept so that ``llm_retry`` can ask again what failed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from .tables import Tables

MOST_QUERIES = 1_000
"""So many statements are kept; the oldest give way."""
MOST_CHARS = 100_000
"""A longer text is not kept."""


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """A statement as it ran.

    Parameters
    ----------
    query_id : as in ``llm_calls()`` and ``llm_errors()``.
    sql : its text with the values of its parameters; "" where it cannot be run again.
    settings : those that decide what is asked, as they were.
    refusal : why it cannot be run again ("" if it can).
    """

    query_id: str
    at: float
    sql: str
    settings: Mapping[str, Any]
    refusal: str = ""


class Queries:
    """The kept statements of a store.

    Parameters
    ----------
    tables : the store.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put(self, query: StoredQuery) -> Future[None]:
        """Keep a statement; the future resolves once it is durable."""
        if len(query.sql) > MOST_CHARS:
            why = f"its text is longer than {MOST_CHARS:,} characters"
            query = StoredQuery(query.query_id, query.at, "", {}, why)
        row = (query.query_id, query.at, query.sql, json.dumps(dict(query.settings)), query.refusal)

        def work(connection: sqlite3.Connection) -> None:
            insert = "INSERT OR REPLACE INTO queries (query_id, at, sql, settings, refusal) VALUES (?, ?, ?, ?, ?)"
            number = connection.execute(insert, row).lastrowid or 0
            connection.execute("DELETE FROM queries WHERE id <= ?", [number - MOST_QUERIES])

        return self._tables.submit(work)

    def find(self, query_id: str) -> StoredQuery | None:
        """A kept statement; ``None``: unknown, or gone."""
        sql = "SELECT query_id, at, sql, settings, refusal FROM queries WHERE query_id = ?"
        for identifier, at, text, settings, refusal in self._tables.fetch(sql, [query_id]):
            return StoredQuery(identifier, at, text, json.loads(settings), refusal)
        return None

    def ids(self) -> list[str]:
        """The kept statements' ids, newest first."""
        return [row[0] for row in self._tables.fetch("SELECT query_id FROM queries ORDER BY id DESC")]
