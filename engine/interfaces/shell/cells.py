"""Arrow values as DuckDB would print them: the text of a cast to VARCHAR, or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """A result on its way to the screen.

    Parameters
    ----------
    columns, types : names and DuckDB types. batches : the values, read once.
    """

    columns: Sequence[str]
    types: Sequence[str]
    batches: Iterable[pa.RecordBatch]

    @classmethod
    def of(cls, table: pa.Table) -> Rows:
        """A finished Arrow table."""
        with duckdb.connect() as connection:
            types = [str(native) for native in connection.from_arrow(table).types]
        return cls(table.column_names, types, table.to_batches())


def texts(rows: Rows) -> Iterator[list[Row]]:
    """Per batch, its rows as DuckDB's text; ``None`` is NULL."""
    return _converted(rows, ["CAST({} AS VARCHAR)"] * len(rows.types))


def jsons(rows: Rows) -> Iterator[list[Row]]:
    """Per batch, its rows as JSON values; ``None`` is NULL."""
    return _converted(rows, [_json_of(name) for name in rows.types])


def _json_of(type_text: str) -> str:
    if type_text == "JSON":
        return "CAST({} AS JSON)"  # Arrow brings it as text: it must not become a JSON string
    if type_text in ("FLOAT", "DOUBLE"):
        return "to_json(CASE WHEN isfinite({0}) THEN {0} END)"  # JSON has no NaN and no infinity
    if type_text.startswith("DECIMAL"):
        return "CAST({} AS VARCHAR)"  # to_json goes through DOUBLE and drops trailing zeros and digits
    return "to_json({})"


def _converted(rows: Rows, templates: Sequence[str]) -> Iterator[list[Row]]:
    names = [f"c{i}" for i in range(len(templates))]  # result columns may share a name
    select = ", ".join(template.format(name) for template, name in zip(templates, names, strict=True))
    with duckdb.connect(
        config={"threads": 1}
    ) as connection:  # batches are small: waking threads costs more than it saves
        for batch in rows.batches:
            _use_zone(connection, batch.schema)
            connection.register("batch", pa.Table.from_batches([batch]).rename_columns(names))
            yield connection.execute(f"SELECT {select} FROM batch").fetchall()


def _use_zone(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> None:
    """Print TIMESTAMPTZ in the time zone of the connection it comes from, which Arrow carries along."""
    zones = {field.type.tz for field in schema if pa.types.is_timestamp(field.type) and field.type.tz}
    for zone in zones:
        connection.execute(f"SET TimeZone = '{zone}'")
