"""The two connections that the matrix compares: plain DuckDB with the functions as UDFs, and AnserDB."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

import anserdb
from anserdb.udfs.models.scripted import ScriptedModel

from .by_value import by_value_model, inputs

SETTINGS: dict[str, Any] = {
    "store": ":memory:",
    "llm_model": "matrix",
    "llm_embedding_model": "matrix",
    "llm_on_error": "fail",
    "llm_cache": False,
}
SETUP = (
    *(
        f"DROP {kind} IF EXISTS {name}"
        for kind, name in (("VIEW", "w"), ("MACRO", "m"), ("MACRO TABLE", "tm"), ("TABLE", "made"))
    ),
    "CREATE OR REPLACE TABLE t (id INTEGER, body VARCHAR, n INTEGER, k VARCHAR)",
    "INSERT INTO t VALUES (1, 'red kite', 1, 'a'), (2, 'green door', 2, 'a'), (3, NULL, 1, 'b'), (4, 'red kite', NULL, NULL), "
    "(5, '', 3, 'b'), (6, 'a blue, blue day', 0, NULL), (7, 'green door', 1, 'c')",
    "CREATE OR REPLACE TABLE u (id INTEGER, t_id INTEGER, note VARCHAR)",
    "INSERT INTO u VALUES (10, 1, 'paid'), (11, 1, NULL), (12, 5, 'late'), (13, 9, 'paid'), (14, NULL, 'red kite')",
)


@dataclass(slots=True)
class Doors:
    """``plain`` is the reference: DuckDB evaluates each call row by row. ``model`` is what AnserDB asks."""

    plain: duckdb.DuckDBPyConnection
    con: anserdb.Connection
    model: ScriptedModel
    clean: bool = False

    def begin(self, *, writes: bool) -> None:
        """Tables as they were, and nothing asked yet."""
        if not self.clean:
            for native in (self.plain, self.con.duckdb):
                with contextlib.suppress(duckdb.TransactionException):
                    native.execute("ROLLBACK")
                for sql in SETUP:
                    native.execute(sql)
        self.clean = not writes
        self.model.calls.clear()

    def rows(self, statements: list[str]) -> list[tuple[Any, ...]]:
        """What the last of the statements gives in AnserDB."""
        *before, last = statements
        for sql in before:
            self.con.sql(sql)
        result = self.con.sql(last)
        assert result is not None
        return result.fetchall()

    def asked(self) -> list[tuple[str, ...]]:
        """The inputs of every question, in an order of their own.

        Raises
        ------
        AssertionError : a question was asked twice.
        """
        assert len(self.model.calls) == len(set(self.model.calls)), "a question was asked twice"
        return sorted(filter(None, map(inputs, self.model.calls)))


@contextlib.contextmanager
def doors() -> Iterator[Doors]:
    """Both connections, on the same few rows."""
    model = by_value_model()
    with (
        duckdb.connect(config={"threads": 1}) as reference,
        duckdb.connect(config={"threads": 1}) as native,
        anserdb.load(reference, **SETTINGS) as loaded,
        anserdb.connect(native, **SETTINGS) as con,
    ):
        loaded.register_model("matrix", by_value_model())
        con.register_model("matrix", model)
        yield Doors(reference, con, model)


def comparable(rows: list[tuple[Any, ...]]) -> list[str]:
    """Rows to compare. A plain connection does not know the length of a vector: FLOAT[] instead of FLOAT[n]."""
    return [repr(_listed(row)) for row in rows]


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(part) for name, part in value.items()}
    return [_listed(part) for part in value] if isinstance(value, tuple | list) else value
