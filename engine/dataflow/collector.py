"""Python's cyclic garbage collector, told to be patient while calls are in flight.

Thousands of calls are hundreds of thousands of objects that live for as long as an answer takes. The collector counts
them as growth, and goes over them, and over everything that the program ever imported, again and again: more than half of a
query's CPU. Reference counting frees all of them anyway; only cycles, such as a caught exception and its frames, wait.
"""

from __future__ import annotations

import gc

PATIENCE = 50_000
"""New objects between two looks at the youngest; Python's own figure is 700 (2,000 from 3.12)."""


class Patience:
    """For as long as anybody wants it. What the program has set itself, before or meanwhile, stays.

    >>> patience, usual = Patience(), gc.get_threshold()
    >>> patience.begin(); patience.begin(); patience.end(); gc.get_threshold()[0]
    50000
    >>> patience.end(); gc.get_threshold() == usual
    True
    """

    __slots__ = ("_ours", "_users", "_usual")

    def __init__(self) -> None:
        self._users = 0
        self._usual = self._ours = (0, 0, 0)

    def begin(self) -> None:
        """Somebody wants it."""
        self._users += 1
        if self._users > 1:
            return
        self._usual = self._ours = gc.get_threshold()
        if 0 < self._usual[0] < PATIENCE:  # 0: never
            self._ours = (PATIENCE, *self._usual[1:])
            gc.set_threshold(*self._ours)

    def end(self) -> None:
        """Somebody wants it no longer."""
        self._users -= 1
        if not self._users and self._ours != self._usual and gc.get_threshold() == self._ours:
            gc.set_threshold(*self._usual)

    def reset(self) -> None:
        """Nobody wants it: whoever did is in another process."""
        self._users = min(self._users, 1)
        if self._users:
            self.end()
