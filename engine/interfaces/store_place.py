"""Where a database's answers are kept, unless the user says."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from ..store import default_store_path

StorePlace = str | os.PathLike[str] | None


def store_place(store: StorePlace, database: str | os.PathLike[str] | duckdb.DuckDBPyConnection) -> Path | None:
    """The store's path; ``None`` keeps it in memory.

    Parameters
    ----------
    store : as the user gave it; ``":memory:"`` keeps nothing, ``None`` is beside the database.
    database : a path, or an open connection (whose current database counts).
    """
    if store is not None:
        return None if os.fspath(store) == ":memory:" else Path(store)
    path = _file_of(database) if isinstance(database, duckdb.DuckDBPyConnection) else os.fspath(database)
    return default_store_path(None if path in (None, ":memory:", "") else path)


def _file_of(connection: duckdb.DuckDBPyConnection) -> str | None:
    row = connection.execute("SELECT path FROM duckdb_databases() WHERE database_name = current_database()").fetchall()
    return str(row[0][0]) if row and row[0][0] else None
