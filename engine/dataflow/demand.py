"""How many rows to start for a LIMIT without ORDER BY.

A row that is started costs calls; a row too few costs a round trip. If a share s of the rows passes the filters, the K rows
of the LIMIT need about K/s. The share is unknown at first and learnt on the way: its mean under a uniform prior, Beta(1, 1),
after p of n rows passed is (p+1)/(n+2) (Laplace's rule of succession). So ``(K - found) / share`` rows are kept under way,
and never more than ``cap``; whatever the data, at most ``cap`` rows are started in vain.

Used on the event loop only.
"""

from __future__ import annotations

import asyncio
import math


class Demand:
    """The rows that a reader still wants, and the rows that may be under way for it.

    The lowest operator takes rows with :meth:`take`; every filter above it reports what it drops with :meth:`dropped`, what
    makes several rows of one with :meth:`multiplied`, and whoever serves the reader reports with :meth:`passed` what arrives. Both are needed: a row neither dropped nor passed
    is under way for ever.

    Parameters
    ----------
    rows : what the LIMIT asks for.
    cap : most rows under way at once; about the calls that the model takes at once.
    selective : whether filters stand between; without any, each row counts.

    >>> demand = Demand(10, cap=64)
    >>> demand.allowance
    20
    """

    def __init__(self, rows: int, cap: int = 64, selective: bool = True) -> None:
        self.rows = rows
        self.cap = max(1, cap)
        self.found = 0
        self.processed = 0
        self.started = 0
        self._before = self._after = 0
        self._selective = selective
        self._changed = asyncio.Event()

    @property
    def share(self) -> float:
        """Posterior mean of the share of rows that pass."""
        return (self.found + 1) / (self.processed + 2) if self._selective else 1.0

    @property
    def growth(self) -> float:
        """Rows that one started row becomes, as far as is known."""
        return (self._after + 1) / (self._before + 1)

    @property
    def allowance(self) -> int:
        """Rows that may be started now."""
        if self.done():
            return 0
        wave = min(self.cap, math.ceil((self.rows - self.found) / (self.share * self.growth)))
        return max(0, wave - (self.started - self.processed))

    def done(self) -> bool:
        """Whether the reader has what it wants."""
        return self.found >= self.rows

    async def take(self, most: int) -> int:
        """Start up to ``most`` rows: waits until one at least may start, and returns how many; 0: no more are wanted."""
        while not self.done() and not self.allowance:
            self._changed.clear()
            await self._changed.wait()
        taken = min(most, self.allowance)
        self.started += taken
        return taken

    def passed(self, rows: int) -> None:
        """So many rows arrived at the reader."""
        self.found += rows
        self._finish(rows)

    def dropped(self, rows: int) -> None:
        """So many rows were filtered out on the way."""
        self._finish(rows)

    def multiplied(self, before: int, after: int) -> None:
        """So many rows became so many on the way."""
        self._before += before
        self._after += after
        self.started += after - before
        self._changed.set()

    def _finish(self, rows: int) -> None:
        self.processed += rows
        self._changed.set()
