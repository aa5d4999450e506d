"""Connections that are still open when the interpreter ends."""

from __future__ import annotations

import atexit
import weakref
from typing import Protocol


class _Closable(Protocol):
    def close(self) -> None: ...


_open: weakref.WeakSet[_Closable] = weakref.WeakSet()


def close_at_exit(connection: _Closable) -> None:
    """Close it at the interpreter's end, if it is there then."""
    _open.add(connection)


@atexit.register
def _close_all() -> None:
    # What the interpreter tears down unclosed, DuckDB's binding reports as leaked, object by object.
    for connection in list(_open):
        connection.close()
