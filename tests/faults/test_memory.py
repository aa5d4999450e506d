"""Long queries in bounded memory, in reduced size; ``make bench-memory`` measures the whole."""

from __future__ import annotations

import sys

import pytest

from benchmarks.memory import BOUND_MB, grown

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc/self"),
]


@pytest.mark.parametrize(
    ("case", "rows", "out"),
    [("filtered", 3_000_000, 10_000), ("children", 50_000, 100_000), ("slow", 1_000_000, 1_000)],
)
def test_memory_does_not_grow_with_the_rows(case: str, rows: int, out: int) -> None:
    """Kept whole, the input of the first is twice the bound and more, 3M rows of 230 bytes."""
    run = grown(case, "anserdb", rows)
    print(f"{case}, {rows:,} rows: {run.growth_mb:.0f} MB")
    assert run.rows > out
    assert run.growth_mb < BOUND_MB
