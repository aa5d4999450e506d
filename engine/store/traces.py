"""When each call waited, started and ended, on which device: what service times are learnt from and plans simulated with."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Literal

from .insert import Insert
from .tables import Tables

Outcome = Literal["ok", "refused", "error"]
StageTrace = tuple[str, str, str, str, int, float, float, float, Outcome]
"""Query, stage, device, model, units (tokens), then queued, started and ended as Unix time, and the outcome."""

KEPT = 10_000
"""Newest traces of a device that are kept."""
PRUNE_EVERY = 1_000

INSERT = Insert(
    "stage_trace", ("query_id", "stage", "device", "model", "units", "queued", "started", "ended", "outcome")
)
# By rowid alone, which needs no index: old ones are at the beginning, the newest are found from the end.
PRUNE = """DELETE FROM stage_trace WHERE device = ?1 AND id <=
    (SELECT id FROM stage_trace WHERE device = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)"""

TIMES = """SELECT units, ended - started FROM stage_trace WHERE device = ? AND model = ? AND outcome = 'ok'
    ORDER BY id DESC LIMIT ?"""


class Traces:
    """The table ``stage_trace``.

    Parameters
    ----------
    tables : the store's. kept : see :data:`KEPT`; up to ``PRUNE_EVERY`` more may be there for a while.
    """

    def __init__(self, tables: Tables, kept: int = KEPT) -> None:
        self._tables, self._kept = tables, kept

    def save(self, traces: Sequence[StageTrace]) -> Future[None]:
        """Keep them, and drop the oldest of too many."""

        def work(connection: sqlite3.Connection) -> None:
            INSERT.rows(connection, traces)
            newest = int(connection.execute("SELECT coalesce(max(id), 0) FROM stage_trace").fetchone()[0])
            if newest % PRUNE_EVERY < len(traces):  # one of these was the thousandth
                self._prune(connection)

        return self._tables.submit(work)

    def _prune(self, connection: sqlite3.Connection) -> None:
        devices = connection.execute("SELECT DISTINCT device FROM stage_trace").fetchall()
        connection.executemany(PRUNE, [(device, self._kept) for (device,) in devices])

    def settle(self) -> None:
        """Wait until those that were given to :meth:`save` can be read, for nobody waited for them then."""
        self._tables.submit(lambda _: None).result()

    def times(self, device: str, model: str, most: int = -1) -> list[tuple[float, float]]:
        """Units and seconds of the calls that were answered, the oldest first: what ``Calibration`` learns from.

        Parameters
        ----------
        most : only so many, the newest; -1: all.
        """
        newest = self._tables.fetch(TIMES, [device, model, most])
        return [(float(units), seconds) for units, seconds in reversed(newest)]
