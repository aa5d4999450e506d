"""What the store lends to the parts that keep one table each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Rows = list[tuple[Any, ...]]


class Tables(Protocol):
    """Transactions of the writer, and reads."""

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run ``work`` in the writer's transaction; the future resolves once it is durable."""
        ...

    def fetch(self, sql: str, parameters: Sequence[object] = ()) -> Rows:
        """Rows of what is committed."""
        ...
