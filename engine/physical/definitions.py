"""The views and macros of the user's database that ask a model, read from DuckDB's catalogue when it may have changed.

Listing DuckDB's functions takes tens of milliseconds, so it is not done for every statement: only for the first, and after
a statement of this process that may have changed a definition.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from ..sql.definitions.definition import Definition, Kind, from_catalogue
from .duck import Duck

_VIEWS = "SELECT 'view', database_name, schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal"
_MACROS = """
    SELECT CASE function_type WHEN 'macro' THEN 'macro' ELSE 'table macro' END, database_name, schema_name, function_name,
        macro_definition
    FROM duckdb_functions() WHERE NOT internal AND function_type IN ('macro', 'table_macro')
"""
_TABLES = """
    SELECT database_name, schema_name FROM duckdb_tables() WHERE lower(table_name) = lower(?)
    UNION SELECT database_name, schema_name FROM duckdb_views() WHERE lower(view_name) = lower(?)
"""
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|;)*(\w*)", re.DOTALL)
_BRINGS = frozenset({"ATTACH", "IMPORT"})
_CHANGES = frozenset({"CREATE", "DROP", "ALTER", "DETACH", "ROLLBACK", "ABORT"})

_MAKES_TABLE = re.compile(r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP\s+|TEMPORARY\s+)?TABLE\b", re.IGNORECASE)
_PART = re.compile(r'"(?:[^"]|"")*"|[^".,]+')
_ENTRY = re.compile(r'(?:"(?:[^"]|"")*"|[^",])+')

Place = tuple[str, str]
"""Database and schema."""


class _Changes:
    """How often the definitions of any database of this process may have changed."""

    def __init__(self) -> None:
        self.count = 0


_changes = _Changes()


class CatalogueDefinitions:
    """The definitions of one connection.

    Parameters
    ----------
    duck : the connection. empty : the database was made just now, so that there is nothing to read yet.
    """

    def __init__(self, duck: Duck, *, empty: bool = False) -> None:
        self._duck = duck
        self._seen = _changes.count if empty else -1
        self._views: list[Definition] = []
        self._macros: list[tuple[Kind, str, str, str, Definition | None]] = []
        self._names: re.Pattern[str] | None = None

    # --- Definitions --------------------------------------------------------------------------------------------

    def mentioned(self, sql: str) -> bool:
        """A quick look whether a text holds the name of one; it may mean something else."""
        if self._seen != _changes.count:
            self._read()
        return self._names is not None and self._names.search(sql) is not None

    def view(self, parts: Sequence[str]) -> Definition | None:
        """What a table's name means, part by part, if it is such a view."""
        found = [view for view in self._views if view.name.lower() == parts[-1].lower()]
        if not found:
            return None
        place = self._place(parts, [(d, s) for d, s in self._duck.execute(_TABLES, [parts[-1]] * 2).fetchall()])
        return next((view for view in found if (view.database, view.schema) == place), None)

    def macros(self, parts: Sequence[str], kind: Kind) -> Sequence[Definition | None]:
        """What a function's name means, if it is such a macro: one for each list of parameters, ``None`` for one that asks
        no model."""
        found = [m for m in self._macros if m[0] == kind and m[3].lower() == parts[-1].lower()]
        if not any(definition for *_, definition in found):
            return ()
        place = self._place(parts, [(database, schema) for _, database, schema, _, _ in found])
        overloads = [d for _, database, schema, _, d in found if (database, schema) == place]
        return overloads if any(overloads) else ()

    def home(self, definition: Definition, parts: Sequence[str]) -> tuple[str, ...] | None:
        """Database, schema and name of the table that a definition means by a name, if it lives where the session's own
        names do not lead."""
        schema = parts[0] if len(parts) == 2 else definition.schema
        home = (definition.database, schema)
        path = self._search_path()
        if definition.kind == "view" and len(parts) == 1:
            return self._beside(home, parts[0], path)
        known = home in path if len(parts) == 1 else home[0] in (place[0] for place in path)
        if len(parts) == 3 or known:
            return None
        places = self._duck.execute(_TABLES, [parts[-1]] * 2).fetchall()
        if definition.kind != "view" and not set(places).isdisjoint(path):
            return None  # DuckDB's macros, other than its views, mean the caller's tables
        return (*home, parts[-1]) if home in places else None

    def _beside(self, home: Place, name: str, path: Sequence[Place]) -> tuple[str, ...] | None:
        """What a view means by a bare name: a temporary table, what stands beside the view, then what the session means."""
        places = self._duck.execute(_TABLES, [name] * 2).fetchall()
        found = next((place for place in path if place in places), None)
        return (*home, name) if home in places and found not in (home, path[0]) else None

    # --- when they change ---------------------------------------------------------------------------------------

    def observe(self, statement: str) -> None:
        """DuckDB is about to carry out a statement: it may change what there is."""
        found = _FIRST_WORD.match(statement)
        word = found[1].upper() if found else ""
        if word in _BRINGS or (word in _CHANGES and self._names is not None and not _MAKES_TABLE.match(statement)):
            self.changed()

    def changed(self) -> None:
        """Something was defined, or the connection was in other hands."""
        _changes.count += 1

    # --- inside -------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        seen = _changes.count
        try:
            views, macros = self._duck.execute(_VIEWS).fetchall(), self._duck.execute(_MACROS).fetchall()
        except duckdb.Error:
            return  # an aborted transaction; what there is does not matter before it ends
        self._views = [d for row in views if (d := from_catalogue(*row)) is not None]
        self._macros = [(*row[:4], from_catalogue(*row)) for row in macros]
        names = {d.name for d in self._views} | {m[3] for m in self._macros if m[4] is not None}
        self._names = re.compile("|".join(map(re.escape, names)), re.IGNORECASE) if names else None
        self._seen = seen

    def _search_path(self) -> list[Place]:
        rows = self._duck.execute("SELECT current_database(), current_setting('search_path')").fetchall()
        database, chosen = rows[0]
        places = [tuple(_unquoted(part) for part in _PART.findall(entry)) for entry in _ENTRY.findall(chosen)]
        named = [(place[0], place[1]) if len(place) == 2 else (database, place[0]) for place in places]
        return [("temp", "main"), *named, (database, "main")]

    def _place(self, parts: Sequence[str], places: Sequence[Place]) -> Place | None:
        """Which of the places DuckDB looks in first, of those that a name's qualifiers allow."""
        qualifiers = [part.lower() for part in parts[:-1]]
        if len(qualifiers) == 2:
            return next((p for p in places if [p[0].lower(), p[1].lower()] == qualifiers), None)
        path = self._search_path()
        if qualifiers:
            schemas = [p for d in ("temp", path[-1][0]) for p in places if (p[0], p[1].lower()) == (d, qualifiers[0])]
            databases = [p for p in places if (p[0].lower(), p[1]) == (qualifiers[0], "main")]
            return next(iter([*schemas, *databases]), None)
        return next((p for p in path if p in places), None)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name[:1] == '"' else name.strip()
