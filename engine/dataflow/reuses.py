"""Answers that a query finds in the store, summed up per call site on their way there."""

from __future__ import annotations

import contextlib
import threading
import time

from ..errors import InterfaceError
from ..store import Reuse, Store
from .progress import SiteProgress

MOST_REUSES = 1_000
"""Kept back at most: tables of usage are so much behind, and a process that is killed loses these."""


class _Sums:
    """Of one call site. A sum is ``None`` until something of it is known."""

    __slots__ = ("at", "cached", "co2_g", "cost_usd", "energy_j")

    def __init__(self) -> None:
        self.at, self.cached = time.time(), 0
        self.cost_usd: float | None = None
        self.energy_j: float | None = None
        self.co2_g: float | None = None


class Reuses:
    """Of one query.

    Parameters
    ----------
    store : where they go. query_id : whose they are.
    """

    def __init__(self, store: Store, query_id: str) -> None:
        self._store, self._query_id = store, query_id
        self._sums: dict[tuple[str, str, str], _Sums] = {}
        self._lock = threading.Lock()  # a query may be finished on another thread than the loop's
        self._kept_back = 0

    def add(self, site: SiteProgress, cost_usd: float | None, energy_j: float | None, co2_g: float | None) -> None:
        """An answer was found; what asking would have taken, where that is known. On the event loop."""
        with self._lock:
            sums = self._sums.setdefault((site.site, site.function, site.model), _Sums())
            sums.cached += 1
            if cost_usd is not None:
                sums.cost_usd = (sums.cost_usd or 0.0) + cost_usd
            if energy_j is not None:
                sums.energy_j = (sums.energy_j or 0.0) + energy_j
            if co2_g is not None:
                sums.co2_g = (sums.co2_g or 0.0) + co2_g
            self._kept_back += 1
            full = self._kept_back >= MOST_REUSES
        if full:
            self.flush()

    def flush(self) -> None:
        """Write what is there; nobody waits for it."""
        with self._lock:
            sums, self._sums, self._kept_back = self._sums, {}, 0
        reuses = [
            Reuse(s.at, self._query_id, *where, s.cached, s.cost_usd, s.energy_j, s.co2_g) for where, s in sums.items()
        ]
        if reuses:
            with contextlib.suppress(InterfaceError):  # the store is closed
                self._store.save_reuses(reuses)
