"""Proxies that CREATE PROXY made: what each was taught, what came of its test, and its weights as numbers."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass, fields

from ..errors import ProgrammingError
from .tables import Tables


@dataclass(frozen=True, slots=True)
class StoredProxy:
    """One of them.

    Parameters
    ----------
    name : as given. function : canonical. words : the instruction, or the labels. task : digest of what is asked of whom.
    reference : the model whose answers it learnt. inputs : of a row.
    training, hold_out : answers that it learnt from, and others that it was tested on. agreed : of these.
    embedded_by : what its vectors depend on; "": it goes by words alone.
    told, numbers : the student: what its weights are of, as JSON, and the weights.
    tested : per row of the test, how sure it was and whether it agreed (1.0), as 32-bit numbers.
    """

    name: str
    function: str
    words: str
    task: str
    reference: str
    inputs: int
    training: int
    hold_out: int
    agreed: int
    embedded_by: str
    told: str
    numbers: bytes
    tested: bytes
    created_at: float

    @property
    def size(self) -> int:
        """In bytes, about."""
        return len(self.told) + len(self.numbers) + len(self.tested)


_COLUMNS = ", ".join(field.name for field in fields(StoredProxy))


class Proxies:
    """The proxies of a store; names compare without regard to (ASCII) case.

    Parameters
    ----------
    tables : the store.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put(self, proxy: StoredProxy, *, replace: bool) -> None:
        """Keep a proxy.

        Raises
        ------
        ProgrammingError : the name is taken and ``replace`` is false.
        """

        def work(connection: sqlite3.Connection) -> None:
            verb, marks = "REPLACE" if replace else "INSERT OR IGNORE", ", ".join("?" * len(fields(StoredProxy)))
            if not connection.execute(f"{verb} INTO proxies ({_COLUMNS}) VALUES ({marks})", astuple(proxy)).rowcount:
                raise ProgrammingError(taken(proxy.name))

        self._tables.submit(work).result()

    def drop(self, name: str) -> bool:
        """Forget a proxy; false if there is none of that name."""

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM proxies WHERE name = ?", [name]).rowcount > 0

        return self._tables.submit(work).result()

    def find(self, name: str) -> StoredProxy | None:
        """A proxy by its name; ``None``: there is none."""
        rows = self._tables.fetch(f"SELECT {_COLUMNS} FROM proxies WHERE name = ?", [name])
        return StoredProxy(*rows[0]) if rows else None

    def of_task(self, task: str) -> list[StoredProxy]:
        """Those that learnt a task, by name."""
        rows = self._tables.fetch(f"SELECT {_COLUMNS} FROM proxies WHERE task = ? ORDER BY name", [task])
        return [StoredProxy(*row) for row in rows]

    def all(self) -> list[StoredProxy]:
        """Every one, by name."""
        return [StoredProxy(*row) for row in self._tables.fetch(f"SELECT {_COLUMNS} FROM proxies ORDER BY name")]


def taken(name: str) -> str:
    """What a user hears who gives a name twice."""
    return f"Proxy {name} exists: CREATE OR REPLACE PROXY {name} teaches it anew, DROP PROXY {name} forgets it."
