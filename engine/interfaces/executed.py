"""Plain SQL run straight through, for cursors: DuckDB binds it once, where a relation binds it twice."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from ..physical.duck import Duck
from ..physical.promises import QueryCertificate
from ..physical.spool import RowSpool
from .close_later import close_later, start_closer
from .rows import Row
from .translate import translated
from .waiting import Waiting

T = TypeVar("T")
_QUERY = re.compile(r"\s*(?:SELECT|FROM|WITH|VALUES)\b", re.IGNORECASE)
_CHANGE = re.compile(
    r"\s*(?:INSERT|UPDATE|DELETE|MERGE|COPY|CREATE|DROP|ALTER|SET|RESET|USE|BEGIN|COMMIT|ROLLBACK)\b", re.IGNORECASE
)
# Giving up the rest of a statement that may write ends the user's transaction.
_MAY_WRITE = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|NEXTVAL)\b", re.IGNORECASE)


class Fetchable(Protocol):
    """The part of a :class:`~.result.Result` that cursors use."""

    @property
    def columns(self) -> list[str]: ...
    @property
    def types(self) -> list[str]: ...
    @property
    def reads(self) -> bool: ...
    @property
    def changed(self) -> int: ...
    @property
    def certificate(self) -> QueryCertificate | None: ...
    def fetchall(self) -> list[Row]: ...
    def fetchone(self) -> Row | None: ...
    def fetchmany(self, size: int = 1) -> list[Row]: ...
    def close(self) -> None: ...


def can_stream(query: str) -> bool:
    """Whether a statement is a query, by its words, whose rows may be left unread.

    >>> can_stream("SELECT 1"), can_stream("SELECT nextval('s')"), can_stream("INSERT INTO t VALUES (1)")
    (True, False, False)
    """
    return _QUERY.match(query) is not None and _MAY_WRITE.search(query) is None


def only_changes(query: str) -> bool:
    """Whether a statement changes something, by its first word: it has run to its end when it returns."""
    return _CHANGE.match(query) is not None


class Executed:
    """A statement that DuckDB runs, or has run; nobody promises anything of it.

    Parameters
    ----------
    spool : its rows. duck, waiting : of the connection.
    streams : its rows are fetched as they are asked for; else they are in memory from now on.
    """

    certificate: QueryCertificate | None = None

    def __init__(self, spool: RowSpool, duck: Duck, waiting: Waiting, *, streams: bool) -> None:
        self._spool, self._duck, self._waiting = spool, duck, waiting
        self.columns = [name for name, _ in spool.columns]
        self.types = [kind for _, kind in spool.columns]
        self.reads, self.changed = True, -1
        if not streams:
            self._wait(spool.detach)
            self._count()
        start_closer()

    def fetchall(self) -> list[Row]:
        """The rows that are left."""
        return self._wait(self._spool.rest)

    def fetchone(self) -> Row | None:
        """The next row; ``None`` at the end."""
        return next(iter(self.fetchmany(1)), None)

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Up to ``size`` rows."""
        return self._wait(partial(self._spool.take, size))

    def close(self) -> None:
        """Give up the rows not fetched yet."""
        self._spool.close()

    def _count(self) -> None:
        """Take the count of changed rows, if that is all there is."""
        if self.columns == ["Count"]:
            rows = self._spool.rest()
            self.reads, self.changed = False, int(rows[0][0]) if rows else -1
        elif self.columns == ["Success"] and not self._spool.kept:
            self.reads = False

    def _wait(self, work: Callable[[], T]) -> T:
        with translated():
            return self._waiting.here(work, self._duck.interrupt)

    def __del__(self) -> None:
        if (spool := getattr(self, "_spool", None)) is not None and not spool.over:
            spool.abandon()
            close_later(spool.close)
