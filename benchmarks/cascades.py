"""Everything about cascades: ``make bench-cascades``, or ``python -m benchmarks.cascades guarantees`` for a part of it."""

from __future__ import annotations

import importlib
import sys
import time

PARTS = ("guarantees", "online", "students", "router")
"""Modules ``benchmarks/cascade_….py``; each has a ``main()`` that prints its figures with targets met or MISSED."""


def main(parts: tuple[str, ...]) -> None:
    """Run them one after another."""
    for part in parts:
        began = time.perf_counter()
        print(f"== {part}", flush=True)
        importlib.import_module(f"benchmarks.cascade_{part}").main()
        print(f"== {part}: {time.perf_counter() - began:.0f} s\n", flush=True)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or PARTS)
