"""Instants of planning, counted in calls of functions: the same ones in every run, wherever the machine's time goes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from anserdb.engine.session import Session

_PLANNING = Session.prepare.__code__


class Instants:
    """Counts the calls that this thread makes while a statement is planned, and does something ``at`` one of them."""

    def __init__(self, at: int = 0, act: Callable[[], object] = lambda: None) -> None:
        self.count = 0
        self._at, self._act = at, act
        self._depth = 0

    def see(self, frame: FrameType, event: str, arg: Any) -> None:
        """For ``sys.setprofile``."""
        if frame.f_code is _PLANNING and event in ("call", "return"):
            self._depth += 1 if event == "call" else -1
        if self._depth and event in ("call", "c_call"):
            self.count += 1
            if self.count == self._at:
                self._act()

    @contextmanager
    def watched(self) -> Iterator[Instants]:
        """Count in the block."""
        before = sys.getprofile()
        sys.setprofile(self.see)
        try:
            yield self
        finally:
            sys.setprofile(before)


def from_another_thread(action: Callable[[], object]) -> Callable[[], None]:
    """Something that has been done in another thread when it returns."""

    def act() -> None:
        thread = threading.Thread(target=action)
        thread.start()
        thread.join()

    return act
