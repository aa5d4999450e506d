"""INSERT of many rows in few statements.

``executemany`` gives up Python's lock for every row, and a busy event loop takes it each time for up to its whole switch
interval (5 ms): a group of three rows then takes 18 ms until it is durable, and one statement of three rows takes 6.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain, islice

MOST_PARAMETERS = 999
"""SQLite before 3.32 takes no more."""
_STEP = 4


class Insert:
    """Into one table.

    Parameters
    ----------
    table, columns : where to. conflict : what follows the rows (``ON CONFLICT …``). ignore : leave rows that are there.

    >>> connection = sqlite3.connect(":memory:")
    >>> _ = connection.execute("CREATE TABLE t (a, b)")
    >>> Insert("t", ("a", "b")).rows(connection, [(number, "x") for number in range(9)])
    >>> connection.execute("SELECT count(*), sum(a) FROM t").fetchone()
    (9, 36)
    """

    def __init__(self, table: str, columns: Sequence[str], conflict: str = "", *, ignore: bool = False) -> None:
        verb = "INSERT OR IGNORE" if ignore else "INSERT"
        start, row = f"{verb} INTO {table} ({', '.join(columns)}) VALUES ", f"({', '.join('?' * len(columns))})"
        sizes, size = [1], _STEP
        while size * len(columns) + conflict.count("?") <= MOST_PARAMETERS and size <= 64:
            sizes.append(size)
            size *= _STEP
        # Few lengths, the longest first: each is a statement that is prepared once.
        self._statements = [(size, f"{start}{', '.join([row] * size)} {conflict}") for size in reversed(sizes)]

    def rows(self, connection: sqlite3.Connection, rows: Sequence[Sequence[object]], *more: object) -> None:
        """Insert them, in order. ``more`` : parameters of ``conflict``."""
        left, rest = len(rows), iter(rows)
        for size, statement in self._statements:
            while left >= size:
                connection.execute(statement, (*chain.from_iterable(islice(rest, size)), *more))
                left -= size
