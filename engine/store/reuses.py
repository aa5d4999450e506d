"""Answers that queries found in the store: how many, and what they did not have to pay for."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from .records import Reuse
from .views import AVOIDED

_COLUMNS = tuple(field.name for field in fields(Reuse))
_values = attrgetter(*_COLUMNS)
# A sum is unknown only while all of its parts are.
_ADD = f"""INSERT INTO reuses ({", ".join(_COLUMNS)}) VALUES ({", ".join("?" * len(_COLUMNS))})
    ON CONFLICT (query_id, call_site, function, model) DO UPDATE SET
    {", ".join(f"{n} = CASE WHEN excluded.{n} IS NULL THEN {n} ELSE coalesce({n}, 0) + excluded.{n} END" for n in AVOIDED)}"""


def add_reuses(connection: sqlite3.Connection, reuses: Sequence[Reuse]) -> None:
    """Add them to what is known of the same query and call site."""
    connection.executemany(_ADD, map(_values, reuses))
