"""Where a store lies, how its file is opened, and what a user reads when that fails."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import OperationalError
from .schema import check_ours, migrate

Synchronous = Literal["NORMAL", "FULL"]

BUSY_SECONDS = 60.0
CACHED_STATEMENTS = 256
SUFFIX = ".anser"
WRITABLE = "Make the file and its folder writable, or choose another place for the store."


def default_store_path(database: str | os.PathLike[str] | None) -> Path:
    """Where the answers of ``database`` are kept: beside its file, else ``memory.anser`` in :func:`data_dir`.

    Databases that are no local file (in memory, ``md:``, ``s3://``) share one store: keys are hashes of the whole
    request, so sharing can only save calls.

    >>> default_store_path("sales/shop.duckdb").name
    'shop.duckdb.anser'
    >>> default_store_path(":memory:").name
    'memory.anser'
    """
    name = os.fspath(database) if database is not None else ""
    # Two letters or more before the colon: C:\shop.duckdb is a file.
    if not name or name.startswith(":memory:") or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", name):
        return data_dir() / f"memory{SUFFIX}"
    return Path(name + SUFFIX)


def data_dir() -> Path:
    """The user's AnserDB folder, which may not exist yet: ``$ANSER_HOME``, or the platform's place for data."""
    if home := os.environ.get("ANSER_HOME"):
        return Path(home).expanduser()
    try:
        return _platform_data_dir() / "anserdb"
    except RuntimeError:
        raise OperationalError("this user has no home folder: set ANSER_HOME to a folder for AnserDB's files") from None


def _platform_data_dir() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    xdg = Path(os.environ.get("XDG_DATA_HOME", ""))
    return xdg if xdg.is_absolute() else Path.home() / ".local" / "share"


@dataclass(frozen=True, slots=True)
class Handle:
    """A connection and the lock under which it is used."""

    connection: sqlite3.Connection
    lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        """Close the connection once nobody uses it; idempotent."""
        with self.lock:
            self.connection.close()


def open_store(path: Path | None, synchronous: Synchronous) -> tuple[Handle, Handle]:
    """Create or open the file, check and migrate it.

    Returns
    -------
    The writer's handle and the readers' handle; for a store in memory they are one.
    """
    with translated(path):
        if path is not None:
            _create(path)
        connection = connect(path, synchronous)
        try:
            check_ours(connection, str(path))
            use_wal(connection, path)
            migrate(connection, str(path))
            writer = Handle(connection)
            return writer, writer if path is None else Handle(connect(path, synchronous))
        except BaseException:
            connection.close()
            raise


def connect(path: Path | None, synchronous: Synchronous = "NORMAL") -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use, one at a time.

    In WAL mode a COMMIT under ``synchronous=NORMAL`` has handed the transaction to the operating system: it survives
    ``kill -9`` of this process, and the file is never corrupt, but a power cut may take the last moments' answers.
    ``FULL`` waits for the disk at every commit and survives that too, at one fsync per group of answers.
    """
    connection = sqlite3.connect(
        # mode=rw: only _create makes files, so none appears with the wrong mode or in place of one that was moved.
        ":memory:" if path is None else f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )
    try:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    """Make the file private before the first answer is in it; SQLite gives -wal and -shm the same mode.

    An existing file is not opened here, not even to look: closing it would drop the POSIX locks that another
    connection of this process holds on it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def use_wal(connection: sqlite3.Connection, path: Path | None) -> None:
    """Switch to WAL. When several processes do so at once SQLite may refuse without waiting, so the waiting is ours."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if not held_elsewhere(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if path is not None and mode != "wal":
        raise OperationalError(
            f"{path}: this file system cannot share an SQLite file (a network drive?). Keep the store on a local disk."
        )


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Let failures of the file out as :class:`OperationalError` that names it and says what to do."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error


def explain(error: sqlite3.Error | OSError, path: Path | None) -> OperationalError:
    """The user's words for ``error``."""
    return OperationalError(f"the answer store {path or '(in memory)'} failed: {error}. {_advice(error, path)}")


def _advice(error: sqlite3.Error | OSError, path: Path | None) -> str:
    match _code(error):
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            name = path.name if path else "store"
            return (
                "The file is damaged or not an AnserDB store. Nothing was deleted: "
                f"move {name} (and {name}-wal, {name}-shm if they exist) away, and a new store will be made."
            )
        case sqlite3.SQLITE_FULL:
            return "Free some disk space and run again; answers saved before are kept."
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"Another process has kept it locked for {BUSY_SECONDS:.0f} s: end that process and run again."
        case sqlite3.SQLITE_IOERR:
            return "The disk refused: is it full, over quota, or a lost network drive? Answers saved before are kept."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return WRITABLE
        case _:
            return WRITABLE if isinstance(error, OSError) else "Run again; report it if it stays."


def held_elsewhere(error: BaseException) -> bool:
    """Whether another connection's lock is the reason."""
    return isinstance(error, sqlite3.Error) and _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: sqlite3.Error | OSError) -> int:
    """SQLite's primary result code (the extended one holds it in its low byte); 0 if the error is not SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
