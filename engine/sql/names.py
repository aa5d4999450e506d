"""Generated names, and the quoting of those that users choose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from ..plan.nodes import Column


@dataclass
class Names:
    """Fresh names for one statement."""

    counter: count[int] = field(default_factory=lambda: count(1))

    def fresh(self, kind: str) -> str:
        """``__c7`` and the like."""
        return f"__{kind}{next(self.counter)}"


def quote(name: str) -> str:
    """An identifier, quoted.

    >>> print(quote("a b"))
    "a b"
    """
    return '"' + name.replace('"', '""') + '"'


def stub(columns: Iterable[Column]) -> str:
    """An empty relation with these columns, for binding against."""
    return "SELECT " + ", ".join(f"NULL::{c.type} AS {quote(c.name)}" for c in columns) + " WHERE false"
