"""Counters of this machine that calls to its own models share: busy CPU seconds, joules of its GPUs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any

NVML_EVERY_S = 0.02
"""The driver brings the counter up to date about so often: to ask again sooner only costs time."""


class SharedCounter:
    """What grows while calls are under way, split evenly among them: all shares together are the whole. On one thread.

    Parameters
    ----------
    read : the counter, which never falls.

    >>> levels = iter([0.0, 2.0, 6.0, 7.0])
    >>> counter = SharedCounter(lambda: next(levels))
    >>> first = counter.begin()
    >>> second = counter.begin()
    >>> counter.end(first), counter.end(second)
    (4.0, 3.0)
    """

    __slots__ = ("_last", "_level", "_read", "_under_way")

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._level = self._last = 0.0
        self._under_way = 0

    def begin(self) -> float:
        """A call begins; what it is given belongs to :meth:`end`."""
        self._advance()
        self._under_way += 1
        return self._level

    def end(self, begun: float) -> float:
        """A call ends: its share since it began."""
        self._advance()
        self._under_way -= 1
        return self._level - begun

    def _advance(self) -> None:
        now = self._read()
        if self._under_way:
            self._level += (now - self._last) / self._under_way
        self._last = now


CPU_SECONDS = SharedCounter(time.process_time)
"""All that this process computes while calls are under way, so also what DuckDB does for other queries meanwhile."""


@lru_cache(maxsize=1)
def gpu_joules() -> SharedCounter | None:
    """The GPUs that this process may use, if NVIDIA's library is there and its Python binding (``nvidia-ml-py``) is installed."""
    with suppress(Exception):  # no binding, no driver, no permission, a GPU without a counter: all the same to us
        nvml: Any = import_module("pynvml")
        nvml.nvmlInit()
        handles = list(_handles(nvml))
        if handles and _joules(nvml, handles) > 0:
            return SharedCounter(_Throttled(lambda: _joules(nvml, handles)))
    return None


def _handles(nvml: Any) -> Iterator[Any]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        yield from map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        return
    for name in filter(None, map(str.strip, visible.split(","))):
        by_number = name.isdecimal()
        yield nvml.nvmlDeviceGetHandleByIndex(int(name)) if by_number else nvml.nvmlDeviceGetHandleByUUID(name)


def _joules(nvml: Any, handles: list[Any]) -> float:
    return float(sum(nvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles)) / 1000


class _Throttled:
    """A counter that is read now and then, and is as it was in between."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._at, self._value = time.monotonic(), read()

    def __call__(self) -> float:
        now = time.monotonic()
        if now - self._at >= NVML_EVERY_S:
            self._at, self._value = now, self._read()
        return self._value
