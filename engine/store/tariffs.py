"""What the figures of answered calls follow from: the prices, joules and grams that held when they were made.

A call that was answered as usual is a line of raw counts (:data:`CallLine`); money, energy and emissions are computed from it
and its tariff when somebody reads (the SQL view ``answered_calls``). So what a call costs to write down is a small tuple.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Final

from .insert import Insert
from .records import CallRecord, Phase, storable

CallLine = tuple[
    "Tariff",
    float,
    Phase,
    bytes,
    int | None,
    int | None,
    int | None,
    float,
    float | None,
    int,
    float | None,
    float | None,
]
"""One answered call: tariff, Unix time of its end, phase, key, tokens in, out and cached, seconds, seconds queued, retries,
US dollars (``None``: by the tariff), and what a counter counted (``None``: there is none). A plain tuple: there is one for every call."""
# Places in it, one by one, so that type checkers know what is there.
AT: Final = 1
PHASE: Final = 2
KEY: Final = 3
IN: Final = 4
OUT: Final = 5
CACHED: Final = 6
SECONDS: Final = 7
RETRIES: Final = 9
USD: Final = 10
COUNTED: Final = 11

Recorded = CallRecord | CallLine


@dataclass(frozen=True, slots=True, eq=False)
class Tariff:
    """Who asked whom, and what that took; equal ones are one row.

    Parameters
    ----------
    query_id, call_site, function, model, endpoint : as in :class:`CallRecord`.
    price_in, price_cached_in, price_out : US dollars per million tokens; ``None``: unknown, or no such price.
    price_source : who says so.
    read, written, counted : joules of an input and an output token, and of a unit of a counter (low, mid, high).
    energy_method, co2_source : as in :class:`CallRecord`. co2_g_per_kwh : grams of CO₂ equivalent.
    at : Unix time from which it was known to hold.
    """

    query_id: str
    call_site: str
    function: str
    model: str
    endpoint: str | None
    price_in: float | None
    price_cached_in: float | None
    price_out: float | None
    price_source: str
    read: tuple[float, float, float]
    written: tuple[float, float, float]
    counted: tuple[float, float, float]
    energy_method: str
    co2_g_per_kwh: float
    co2_source: str
    at: float = field(default_factory=time.time)
    id: int = field(init=False)
    row: tuple[object, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Of its contents, so that processes agree on it without asking each other.
        digest = hashlib.sha256(repr(_contents(self)).encode(errors="replace")).digest()
        object.__setattr__(self, "id", int.from_bytes(digest[:8], "big") >> 1)
        object.__setattr__(self, "row", _row(self))


_contents = attrgetter(*[each.name for each in fields(Tariff) if each.name not in ("id", "at", "row")])

_TARIFF_COLUMNS = (
    "id", "at", "query_id", "call_site", "function", "model", "endpoint", "price_in", "price_cached_in", "price_out", "price_source",
    "read_low", "read", "read_high", "written_low", "written", "written_high", "counted_low", "counted", "counted_high",
    "energy_method", "co2_g_per_kwh", "co2_source",
)  # fmt: skip
_INSERT_TARIFF = Insert("tariffs", _TARIFF_COLUMNS, ignore=True)
_LINE_COLUMNS = (
    "tariff", "at", "phase", "key", "tokens_in", "tokens_out", "tokens_cached", "seconds", "queue_seconds", "retries", "cost_usd",
    "counted",
)  # fmt: skip
_INSERT_LINE = Insert("answered", _LINE_COLUMNS)


def add_lines(connection: sqlite3.Connection, lines: Sequence[CallLine]) -> None:
    """Write them, and their tariffs if nobody has."""
    tariffs = {line[0] for line in lines}
    _INSERT_TARIFF.rows(connection, [tariff.row for tariff in tariffs])
    _INSERT_LINE.rows(connection, [(line[0].id, *line[1:]) for line in lines])


def _row(tariff: Tariff) -> tuple[object, ...]:
    values: Iterable[object] = _contents(tariff)
    flat = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
    return (tariff.id, tariff.at, *map(storable, flat))
