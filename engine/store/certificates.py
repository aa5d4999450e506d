"""What was promised of the answers of calls, and proved: the table ``certificates``, a line for each metric of a call."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from .insert import Insert
from .tables import Tables

KEPT = 100_000
"""Newest lines that are kept."""


class CertificateLine(NamedTuple):
    """One metric of one call in one query, as it was proved. Field names are column names.

    Parameters
    ----------
    at : Unix time in seconds. reference : the model whose answers are the truth. proxy : who answered in its place.
    target, certified, estimate : what was asked for, what holds with probability ``1 - delta``, and what it probably is.
    rows, by_proxy, by_reference : how many, and who answered them. labels : of the latter, those answered for the proof.
    method : the test. sample_digest : hash of the sampled rows' keys. reason : why the reference answered all ("": it did not).
    scope : what it is about, in words.
    """

    at: float
    query_id: str
    call_site: str
    function: str
    reference: str
    proxy: str
    metric: str
    target: float
    delta: float
    certified: float
    estimate: float
    rows: int
    by_proxy: int
    by_reference: int
    labels: int
    method: str
    sample_digest: str
    reason: str
    scope: str


INSERT = Insert("certificates", CertificateLine._fields)


class Certificates:
    """The certificates of a store.

    Parameters
    ----------
    tables : the store. kept : see :data:`KEPT`.
    """

    def __init__(self, tables: Tables, kept: int = KEPT) -> None:
        self._tables, self._kept = tables, kept

    def put(self, lines: Sequence[CertificateLine]) -> Future[None]:
        """Keep them, and drop the oldest of too many; the future resolves once they are durable."""

        def work(connection: sqlite3.Connection) -> None:
            INSERT.rows(connection, lines)
            newest = int(connection.execute("SELECT coalesce(max(id), 0) FROM certificates").fetchone()[0])
            connection.execute("DELETE FROM certificates WHERE id <= ?", [newest - self._kept])

        return self._tables.submit(work)
