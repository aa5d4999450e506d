"""The words of the shell: DuckDB's keywords, semantic functions, settings, and the connection's tables and models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

import duckdb

from ....udfs.functions import functions
from ....udfs.spec import Parameter, SemanticFunction
from ...settings import Settings
from ...sql.common_options import common_options
from .ports import Connection

T = TypeVar("T")


@lru_cache(maxsize=1)
def keywords() -> tuple[str, ...]:
    """DuckDB's own list, upper case."""
    with duckdb.connect() as connection:
        rows = connection.execute("SELECT DISTINCT upper(keyword_name) FROM duckdb_keywords() ORDER BY 1").fetchall()
    return tuple(name for (name,) in rows)


def semantic_functions() -> Mapping[str, SemanticFunction]:
    """By canonical name."""
    return {function.sql_name: function for function in functions().values()}


def semantic_names() -> Mapping[str, SemanticFunction]:
    """By every upper-case name, aliases too."""
    return functions()


def signature(function: SemanticFunction) -> str:
    """A call's shape, for instance ``LLM_FILTER(instruction, input…)``."""
    return f"{function.sql_name}({', '.join(map(_shape, function.parameters))})"


def _shape(parameter: Parameter) -> str:
    name = parameter.name + ("…" if parameter.variadic else "")
    return f"[{name}]" if parameter.optional else name


def options(function: SemanticFunction) -> Mapping[str, str]:
    """Named arguments of a function with what they do, its own first."""
    return {option.name: option.summary for option in (*function.options, *common_options(function))}


def settings() -> Mapping[str, str]:
    """Names that SET takes, with what they do."""
    return {name: field.description or "" for name, field in Settings.model_fields.items()}


class Names:
    """Tables, columns and models of a connection, read once per prompt: completion runs at every key."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.refresh()

    def refresh(self) -> None:
        """Forget; the last statement may have changed them."""
        self._tables: list[str] | None = None
        self._columns: dict[str, list[str]] = {}
        self._models: list[str] | None = None

    def tables(self) -> list[str]:
        """Names as they can be written: with the schema unless it is ``main``."""
        if self._tables is None:
            found = _quietly(self._connection.tables) or []
            self._tables = [name if schema == "main" else f"{schema}.{name}" for schema, name in found]
        return self._tables

    def columns(self, table: str) -> list[str]:
        """Column names; empty for a table that is not there."""
        if table not in self._columns:
            found = _quietly(lambda: self._connection.table_columns(table)) or []
            self._columns[table] = [column if isinstance(column, str) else str(column[0]) for column in found]
        return self._columns[table]

    def models(self) -> list[str]:
        """Names for ``model :=``."""
        if self._models is None:
            self._models = _quietly(self._model_names) or []
        return self._models

    def _model_names(self) -> list[str]:
        result = self._connection.sql("SHOW MODELS")
        if result is None:
            return []
        at = [column.lower() for column in result.columns].index("name")
        return [str(row[at]) for row in result.fetchall()]


def _quietly(read: Callable[[], T]) -> T | None:
    """Completion never fails: without an answer it offers nothing."""
    try:
        return read()
    except Exception:
        return None
