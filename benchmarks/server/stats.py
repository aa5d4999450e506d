"""What a server saw, for tests to look at while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from multidict import CIMultiDictProxy

from .bill import Bill


@dataclass(slots=True)
class Stats:
    """The bill's counters, and what is no matter of money.

    ``faults`` are requests that met one, or a limit of the server's.
    ``bodies`` and ``headers`` hold the requests when the server keeps them; ``tokenized`` those to ``/tokenize``.
    """

    bill: Bill
    faults: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[CIMultiDictProxy[str]] = field(default_factory=list)
    tokenized: list[dict[str, Any]] = field(default_factory=list)
    unknown_paths: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """All that came."""
        return sum(line.requests for line in self.bill.lines.values())

    @property
    def completed(self) -> int:
        """Those that were answered."""
        return self.bill.total.answered

    @property
    def tokens_in(self) -> int:
        """Of the answered."""
        return self.bill.total.tokens_in

    @property
    def tokens_out(self) -> int:
        """Of the answered."""
        return self.bill.total.tokens_out

    def come(self) -> None:
        """A request is here."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def go(self) -> None:
        """It is done with."""
        self.in_flight -= 1

    def numbers(self) -> dict[str, int]:
        """The counters, without what was kept."""
        names = ("requests", "completed", "faults", "tokens_in", "tokens_out", "in_flight", "max_in_flight")
        return {name: getattr(self, name) for name in names}
