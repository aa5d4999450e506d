"""What calls were like, summed up per task: shares of TRUE, tokens, seconds, agreement of other arms.

A query adds its sums once, when it ends, whatever became of it. They decay: what was summed up before weighs half after
:data:`HALF_LIFE` further inputs have been answered, however long that takes; a table that nobody asks about forgets nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields
from operator import attrgetter

from .tables import Tables

HALF_LIFE = 10_000.0
"""Inputs."""
KEPT = 10_000
"""Rows; those that were not added to for the longest time give way."""
SLACK = 100


@dataclass(frozen=True, slots=True)
class TaskStatistics:
    """Sums of one task, about one kind of data.

    Parameters
    ----------
    task, data : digests: of what is asked and who answers, and of where inputs come from.
    arm : another way to answer, which was compared with the task's own; "": the task itself.
    thinned_by : digests of the semantic filters that had left the rows; "": rows that none had seen.
    function, model, about : for people.
    inputs : distinct inputs answered. rows, rows_true : rows answered, and with TRUE (BOOLEAN answers only).
    paid : inputs that a model was asked about, by so many ``calls``; of these the sums, and sums of squares, of tokens and seconds.
    compared, agreed : rows in which an arm was compared with the task's own answer, and the sum of agreements.
    updated_at : Unix time. fresh : share of what was seen or compared that no earlier query can have added; it is not kept.
    """

    task: str
    arm: str
    data: str
    thinned_by: str
    function: str
    model: str
    about: str
    inputs: float = 0.0
    rows: float = 0.0
    rows_true: float = 0.0
    paid: float = 0.0
    calls: float = 0.0
    tokens_in: float = 0.0
    tokens_in_squares: float = 0.0
    tokens_out: float = 0.0
    tokens_out_squares: float = 0.0
    seconds: float = 0.0
    seconds_squares: float = 0.0
    compared: float = 0.0
    agreed: float = 0.0
    updated_at: float = 0.0
    fresh: float = 1.0


_NAMES = tuple(field.name for field in fields(TaskStatistics) if field.name != "fresh")
_WORDS, _SUMS = _NAMES[:7], _NAMES[7:-1]
_SEEN = ("inputs", "rows", "rows_true")
"""Sums that also count what was found in the cache: rows that were summed up when they were paid for."""
_COMPARED = ("compared", "agreed")
"""The same of comparisons: an arm that was compared on these rows before proves nothing more by them."""
_values = attrgetter(*_NAMES)
_DECAY, _SEEN_ANEW, _COMPARED_ANEW = (f"?{len(_NAMES) + place}" for place in (1, 2, 3))


def _added(name: str) -> str:
    """What is there and what is new of it. It is at least what this query alone has, whoever paid for that."""
    if name not in (*_SEEN, *_COMPARED):
        return f"{name} = {name} * {_DECAY} + excluded.{name}"
    count, anew = ("inputs", _SEEN_ANEW) if name in _SEEN else ("compared", _COMPARED_ANEW)
    more = f"{count} * {_DECAY} + excluded.{count} * {anew} >= excluded.{count}"
    return f"{name} = CASE WHEN {more} THEN {name} * {_DECAY} + excluded.{name} * {anew} ELSE excluded.{name} END"


_ADDED = ", ".join(map(_added, _SUMS))
_ADD = f"""INSERT INTO statistics ({", ".join(_NAMES)}) VALUES ({", ".join(f"?{n + 1}" for n in range(len(_NAMES)))})
    ON CONFLICT (task, arm, data, thinned_by) DO UPDATE SET {_ADDED}, updated_at = max(updated_at, excluded.updated_at)"""
_OF_TASK = f"SELECT {', '.join(_NAMES)} FROM statistics WHERE task = ? ORDER BY updated_at DESC, arm, data, thinned_by"
_SHARES = """SELECT sum(rows_true) / sum(rows) FROM statistics WHERE function = ? AND arm = '' AND rows > 0
    GROUP BY task HAVING sum(inputs) >= ? ORDER BY task"""

_DROP_OLDEST = "DELETE FROM statistics WHERE rowid IN (SELECT rowid FROM statistics ORDER BY updated_at, rowid LIMIT ?)"


class Statistics:
    """The table ``statistics``.

    Parameters
    ----------
    tables : the store's. half_life : see :data:`HALF_LIFE`. kept : see :data:`KEPT`; a few more may be there.
    """

    def __init__(self, tables: Tables, half_life: float = HALF_LIFE, kept: int = KEPT) -> None:
        self._tables, self._half_life, self._kept = tables, half_life, kept

    def add(self, new: Sequence[TaskStatistics]) -> Future[None]:
        """Add a query's sums to what is known, in one transaction; the future resolves once it is durable."""
        rows = [(*_values(each), *self._weights(each)) for each in new]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(_ADD, rows)
            if (more := _count(connection) - self._kept) > SLACK:
                connection.execute(_DROP_OLDEST, [more])

        return self._tables.submit(work)

    def of(self, task: str) -> list[TaskStatistics]:
        """All that is known of a task, the newest first."""
        return [TaskStatistics(*row) for row in self._tables.fetch(_OF_TASK, [task])]

    def shares(self, function: str, least: float) -> list[float]:
        """Of rows of which a function was TRUE, per task of which at least so many inputs were answered."""
        return [float(share) for (share,) in self._tables.fetch(_SHARES, [function, least])]

    def _weights(self, new: TaskStatistics) -> tuple[float, float, float]:
        """Of what is there, of what was seen again, and of what was compared again."""
        seen = new.fresh * (min(1.0, new.paid / new.inputs) if new.inputs else 1.0)
        return 0.5 ** ((seen * new.inputs + new.fresh * new.compared) / self._half_life), seen, new.fresh


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM statistics").fetchone()[0])
