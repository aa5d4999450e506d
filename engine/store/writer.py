"""The one thread that writes: jobs from any thread, many jobs a transaction.

Group commit (DeWitt et al., "Implementation Techniques for Main Memory Database Systems", 1984): who arrives while a
commit is under way shares the next one, so throughput grows with load and an idle store answers at once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ..errors import InterfaceError
from .files import Handle, explain, held_elsewhere

T = TypeVar("T")

MAX_JOBS_PER_COMMIT = 512


@dataclass(frozen=True, slots=True)
class Job:
    """Work to do inside a transaction. It may run again after a rollback: its only effects are in the database."""

    work: Callable[[sqlite3.Connection], Any]
    future: Future[Any] = field(default_factory=Future)


Jobs = SimpleQueue[Job | None]


class Writer:
    """Owner of the writing connection."""

    def __init__(self, database: Handle, path: Path | None) -> None:
        self._jobs: Jobs = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        # A daemon, because Python joins other threads before it runs the exit hook that would stop this one.
        serve = partial(_serve, self._jobs, database, path)
        self._thread = threading.Thread(target=serve, name="anserdb-store", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue ``work``; the future resolves after its COMMIT, and cannot be cancelled, for the answer is paid for."""
        job = Job(work)
        job.future.set_running_or_notify_cancel()
        with self._closing:
            if self._closed:
                raise InterfaceError("the answer store is closed")
            self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """Commit what is queued, then stop; idempotent."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        # A future's callback may drop the last reference to the store, and so come here, on the writer's own thread.
        if threading.current_thread() is not self._thread:
            self._thread.join()


def _serve(jobs: Jobs, database: Handle, path: Path | None) -> None:
    # Not a method: a thread that held the Writer would keep the store alive for ever.
    serving = True
    while serving:
        taken = _take(jobs)
        batch = [job for job in taken if job is not None]
        serving = len(batch) == len(taken)
        if batch:
            _commit(database, batch, path)
    database.close()


def _take(jobs: Jobs) -> list[Job | None]:
    """Wait for one job, then take what has gathered meanwhile."""
    taken = [jobs.get()]
    with suppress(Empty):
        while len(taken) < MAX_JOBS_PER_COMMIT:
            taken.append(jobs.get_nowait())
    return taken


def _commit(database: Handle, batch: Sequence[Job], path: Path | None) -> None:
    """One transaction for all. If a job spoils it, each is given its own, so that only the guilty one fails."""
    try:
        results = _transact(database, batch)
    except Exception as error:
        if len(batch) > 1 and not held_elsewhere(error):
            for job in batch:
                _commit(database, [job], path)
            return
        for job in batch:
            job.future.set_exception(_reason(error, path))
    else:
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)


def _transact(database: Handle, batch: Sequence[Job]) -> list[Any]:
    connection = database.connection
    with database.lock:
        # IMMEDIATE: wait for the write lock here, where SQLite honours the timeout, and not half way.
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [job.work(connection) for job in batch]
            connection.execute("COMMIT")
        except BaseException:
            # A full disk has rolled back by itself; a failing ROLLBACK must not hide the first reason.
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        return results


def _reason(error: Exception, path: Path | None) -> Exception:
    if not isinstance(error, sqlite3.Error):
        return error
    reason = explain(error, path)
    reason.__cause__ = error
    return reason
