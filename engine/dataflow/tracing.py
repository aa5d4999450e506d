"""A query's traces on their way into the store: many at a time, and nobody waits for them."""

from __future__ import annotations

import contextlib
import time

from ..errors import InterfaceError
from ..store import Store
from ..store.traces import StageTrace

MOST_TRACES = 256
"""Kept back at most; a process that is killed loses these."""


class Tracing:
    """The traces of one query.

    Parameters
    ----------
    store : where they go.

    Attributes
    ----------
    epoch : Unix time at the zero of the dispatcher's clock.
    """

    def __init__(self, store: Store) -> None:
        self.epoch = time.time() - time.monotonic()
        self._store = store
        self._traces: list[StageTrace] = []

    def add(self, trace: StageTrace) -> None:
        """A call has ended. On the event loop."""
        self._traces.append(trace)
        if len(self._traces) >= MOST_TRACES:
            self.flush()

    def flush(self) -> None:
        """Write what is there; any thread, once nothing is added."""
        traces, self._traces = self._traces, []
        if traces:
            with contextlib.suppress(InterfaceError):  # the store is closed: a trace is not worth an error
                self._store.traces.save(traces)
