"""Arrow batches of a semantic result as the values and types that its query announced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import duckdb
import pyarrow as pa

from .rows import Row
from .translate import translated

# Arrow and DuckDB make the same Python objects of these, so their rows need no detour.
_ALIKE = frozenset(
    [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "FLOAT",
        "DOUBLE",
        "VARCHAR",
    ]
)


class TypedRows:
    """Conversions for one result.

    Parameters
    ----------
    connection : a bare connection with the settings of the user's, which this object owns.
    names, types : the columns as announced.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str], types: Sequence[str]) -> None:
        self._connection, self._names, self._types = connection, tuple(names), tuple(types)

    def rows(self, batch: pa.RecordBatch) -> list[Row]:
        """Python values, as DuckDB would fetch them."""
        if _ALIKE.issuperset(self._types):
            return list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        with self.relation(pa.Table.from_batches([batch])) as relation:
            return relation.fetchall()

    def table(self, table: pa.Table) -> pa.Table:
        """Arrow, as DuckDB would export it."""
        if table.schema.equals(self._schema):
            return table
        with self.relation(table) as relation:
            return relation.to_arrow_table()

    @contextmanager
    def relation(self, table: pa.Table) -> Iterator[duckdb.DuckDBPyRelation]:
        """A DuckDB relation; valid inside the block."""
        names = [f"c{i}" for i in range(table.num_columns)]
        labels = [name.replace('"', '""') for name in self._names]
        items = [f'{_cast(n, t)} AS "{label}"' for n, t, label in zip(names, self._types, labels, strict=True)]
        with translated():
            self._connection.register("__result", table.rename_columns(names))
            try:
                yield self._connection.sql(f"SELECT {', '.join(items)} FROM __result")
            finally:
                self._connection.unregister("__result")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @cached_property
    def _schema(self) -> pa.Schema:
        with translated():
            empty = ", ".join(
                f'{_cast("NULL", t)} AS "{n.replace(chr(34), chr(34) * 2)}"'
                for n, t in zip(self._names, self._types, strict=True)
            )
            return self._connection.sql(f"SELECT {empty} LIMIT 0").to_arrow_table().schema


def _cast(value: str, type_text: str) -> str:
    # The state of an aggregate has a type that cannot be written in SQL.
    return value if type_text.startswith("AGGREGATE_STATE") else f"CAST({value} AS {type_text})"
