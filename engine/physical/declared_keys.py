"""What DuckDB's catalogue knows of the rows of a table: keys, and whether they can be read twice."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...optimizer.context import NoStatistics
from ..plan.nodes import Source
from .duck import Duck
from .read_again import read_again

_WORD = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)'
_TABLE = re.compile(rf"\s*({_WORD}(?:\s*\.\s*{_WORD})*)(?:\s+(?:AS\s+)?({_WORD}))?\s*", re.IGNORECASE)
_PARTS = re.compile(_WORD)
_NAMED = ("table_name", "schema_name", "database_name")
_HERE = ("schema_name IN (SELECT unnest(current_schemas(true)))", "database_name IN (current_database(), 'temp')")
"""Where a name of one part is looked up, and one of two."""


@dataclass(frozen=True, slots=True)
class DeclaredKeys(NoStatistics):
    """Answers from the catalogue of the user's connection, and only of tables that cannot be mistaken for others.

    They are for one statement, whose calls mostly ask about the same table: what was looked up is kept.
    """

    duck: Duck
    _entries: dict[tuple[str, ...], list[tuple[Any, ...]]] = field(kw_only=True, default_factory=dict, repr=False)

    def unique(self, source: Source, columns: frozenset[str]) -> bool:
        """Whether the columns hold a PRIMARY KEY, a UNIQUE of columns that are NOT NULL, or the ``rowid``."""
        table = self._table(source)
        if table is None:
            return False
        before = _before_columns(source)
        named = {
            name
            for item in source.items
            if len(item.columns) == 1 and item.columns[0].name in columns
            for name in _named(item.sql, before)
        }
        named |= {
            c.label.lower() for item in source.items if len(item.columns) > 1 for c in item.columns if c.name in columns
        }
        return "rowid" in named or any(key <= named for key in self._keys(table))

    def rereadable(self, source: Source) -> bool:
        """Whether a second look finds the same rows: tables, files, and joins of these."""
        if source.prelude or source.inputs or not source.from_sql or self.of_session(source.from_sql):
            return False
        parse = self.duck.execute("SELECT json_serialize_sql(?)", [f"SELECT 1 FROM {source.from_sql}"])
        parsed = json.loads(parse.fetchall()[0][0])
        if parsed["error"]:
            return False
        query = parsed["statements"][0]["node"]
        return not query["sample"] and read_again(query["from_table"], self._is_table)

    def _is_table(self, path: tuple[str, ...]) -> bool | None:
        found = self._found(path) if len(path) <= len(_NAMED) else []
        return len(found) == 1 and found[0][3] == "t" if found else None

    def of_session(self, sql: str) -> bool:
        """Whether it names what the user made, or the session."""
        return self.duck.names_redefined(sql)

    def _table(self, source: Source) -> tuple[str, ...] | None:
        match = _TABLE.fullmatch(source.from_sql)
        if match is None or source.prelude or source.inputs:
            return None
        found = self._found(_words(match[1]))
        return tuple(found[0][:3]) if len(found) == 1 and found[0][3] == "t" else None

    def _found(self, names: Sequence[str]) -> list[tuple[Any, ...]]:
        """The tables and views of a name, and which of the two each is."""
        # A name that is found elsewhere may be that of a Python variable.
        here = " AND ".join(_HERE[len(names) - 1 :]) or "true"
        return self._look(
            "SELECT * FROM (SELECT database_name, schema_name, table_name, 't' FROM duckdb_tables() "
            f"UNION ALL SELECT database_name, schema_name, view_name, 'v' FROM duckdb_views()) WHERE {here}",
            names,
        )

    def _keys(self, table: tuple[str, ...]) -> list[frozenset[str]]:
        rows = self._look(
            "SELECT database_name, schema_name, table_name, constraint_type, constraint_column_names FROM duckdb_constraints()",
            table,
        )
        filled = {c.lower() for row in rows if row[3] in ("NOT NULL", "PRIMARY KEY") for c in row[4]}
        keys = [frozenset(c.lower() for c in row[4]) for row in rows if row[3] in ("UNIQUE", "PRIMARY KEY")]
        return [key for key in keys if key <= filled]

    def _look(self, catalogue: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
        """Entries of the catalogue whose full name ends like this."""
        wanted = " AND ".join(f"lower({column}) = ?" for column, _ in zip(_NAMED, names, strict=False))
        values = [name.lower() for name in reversed(names)]
        if (key := (catalogue, *values)) not in self._entries:
            self._entries[key] = self.duck.execute(f"FROM ({catalogue}) WHERE {wanted}", values).fetchall()
        return self._entries[key]


def _before_columns(source: Source) -> tuple[str, ...]:
    """The names that may stand before those of the columns: the table's with all before it, or its alias."""
    match = _TABLE.fullmatch(source.from_sql)
    assert match is not None  # it is a table
    return _words(match[2] or match[1])


def _named(sql: str, before: tuple[str, ...]) -> list[str]:
    """The column that an item of the source reads, if nothing is done to it: a field of a STRUCT is no column."""
    if not re.fullmatch(rf"{_WORD}(?:\s*\.\s*{_WORD})*", sql.strip()):
        return []
    *qualifiers, name = _words(sql)
    return [name] if tuple(qualifiers) == before[len(before) - len(qualifiers) :] else []


def _words(sql: str) -> tuple[str, ...]:
    return tuple(_unquoted(part).lower() for part in _PARTS.findall(sql))


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part
