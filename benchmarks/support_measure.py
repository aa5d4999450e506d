"""Runs measured one at a time, and tables of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from .support_clients import Answered
from .support_server import Server, cpu_s


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one client: times in seconds, counts as the server saw them."""

    ids: tuple[int, ...]
    wall_s: float
    first_s: float
    cpu_s: float
    server_cpu_s: float
    calls: int
    tokens: int
    in_flight: int


def measure(server: Server, work: Callable[[], Answered]) -> Run:
    """One run."""
    server.reset()
    cpu, started = cpu_s(), time.perf_counter()
    answered = work()
    wall, used = time.perf_counter() - started, cpu_s() - cpu
    seen = server.stats()
    counts = [int(seen[name]) for name in ("requests", "tokens_in", "max_in_flight")]
    return Run(tuple(answered.ids), wall, answered.first_s, used, seen["cpu_s"], *counts)


@dataclass(frozen=True, slots=True)
class Line:
    """A client's runs of one scenario. ``note`` : what a reader must know of the figures."""

    client: str
    runs: Sequence[Run]
    note: str = ""
    wall_estimate_s: float | None = None

    @property
    def wall_s(self) -> float:
        """The median wall time, or what was extrapolated."""
        return self.wall_estimate_s or self.of("wall_s")

    def of(self, name: str) -> float:
        """The median of a figure."""
        return float(median(getattr(run, name) for run in self.runs))

    def cells(self, wall_of_ours: float) -> list[str]:
        """A row of the table."""
        walls = [run.wall_s for run in self.runs]
        spread = "" if len(walls) == 1 else f" ({min(walls):.2f}–{max(walls):.2f})"
        wall = f"≈ {self.wall_s:.1f} *" if self.wall_estimate_s else f"{self.wall_s:.2f}{spread}"
        first = "–" if self.wall_estimate_s else f"{self.of('first_s'):.2f}"
        return [
            self.client,
            wall,
            first,
            f"{self.of('calls'):,.0f}",
            f"{self.of('tokens'):,.0f}",
            f"{self.of('in_flight'):.0f}",
            f"{self.of('cpu_s'):.2f}",
            f"{self.of('server_cpu_s'):.2f}",
            f"{wall_of_ours / self.wall_s:.2f}",
        ]


HEAD = ["client", "wall s", "first row s", "calls", "prompt tokens", "most in flight", "client CPU s", "server CPU s",
        "AnserDB's wall / its"]  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned.

    >>> print(table(["a", "b"], [["long", "1"]]))
    | a    | b |
    |------|--:|
    | long | 1 |
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [_row(head, widths), _rule(widths), *(_row(row, widths) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if at else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _rule(widths: Sequence[int]) -> str:
    first, *others = widths
    return f"|{'-' * (first + 2)}|{''.join('-' * (width + 1) + ':|' for width in others)}"
