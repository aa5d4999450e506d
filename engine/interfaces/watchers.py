"""Who watches the queries of a connection."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from ..dataflow.progress import QueryProgress
from ..dataflow.progress_events import Watcher, progress_event
from .reading import Listener


class Watchers:
    """Callbacks of ``on_progress``. False while there are none."""

    def __init__(self) -> None:
        self._watchers: list[Watcher] = []

    def __bool__(self) -> bool:
        return bool(self._watchers)

    def add(self, watcher: Watcher) -> Callable[[], None]:
        """Tell ``watcher`` from now on; what is given back ends that, and may be called again."""
        self._watchers.append(watcher)

        def remove() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return remove

    def listener(self, other: Listener | None) -> Listener | None:
        """What to tell a query's figures, so that ``other`` and the watchers hear of them; ``None``: nobody."""
        if not self._watchers:
            return other

        def tell(progress: QueryProgress) -> None:
            if other is not None:
                other(progress)
            self._tell(progress)

        return tell

    def _tell(self, progress: QueryProgress) -> None:
        event = progress_event(progress)
        for watcher in list(self._watchers):
            try:
                watcher(event)
            except Exception as error:
                self._watchers.remove(watcher)
                message = f"A progress watcher failed and is called no more: {type(error).__name__}: {error}"
                warnings.warn(message, RuntimeWarning, stacklevel=2)
