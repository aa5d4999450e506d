"""A view or macro that asks a model, and how its own words travel in DuckDB's catalogue.

DuckDB keeps a stand-in of the same name and columns, in which every call is an error. Beside it, in a literal that is
never read, stand the user's words from behind the name on: ``(a, b) AS SELECT …``. So a definition lives and dies with its
database, is copied, attached and rolled back by DuckDB, and whoever reads it without AnserDB is told so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ..tokens import Range, Text

Kind = Literal["view", "macro", "table macro"]

_MARK = "/* AnserDB reads: */ "
_STORED = re.compile(rf"'{re.escape(_MARK)}((?:[^']|'')*)'")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A macro's parameter. ``type`` and ``default`` are SQL, "" where there is none."""

    name: str
    type: str = ""
    default: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """A view or macro.

    Parameters
    ----------
    kind, database, schema, name : which, and where it lives.
    body : the user's query or expression. columns : the names that a view gives its columns, as ``(a, b)`` or "".
    parameters : a macro's.
    """

    kind: Kind
    database: str
    schema: str
    name: str
    body: str
    columns: str = ""
    parameters: tuple[Parameter, ...] = ()

    @property
    def place(self) -> str:
        """Its whole name, for messages."""
        return f"{self.database}.{self.schema}.{self.name}"


class Definitions(Protocol):
    """What the session knows of the views and macros that ask a model."""

    def mentioned(self, sql: str) -> bool:
        """A quick look whether a text holds the name of one; it may mean something else."""
        ...

    def view(self, parts: Sequence[str]) -> Definition | None:
        """What a table's name means, part by part, if it is such a view."""
        ...

    def macros(self, parts: Sequence[str], kind: Kind) -> Sequence[Definition | None]:
        """What a function's name means, if it is such a macro: one for each list of parameters, ``None`` for one that asks
        no model."""
        ...

    def home(self, definition: Definition, parts: Sequence[str]) -> tuple[str, ...] | None:
        """Database, schema and name of the table that a definition means by a name, if it lives where the session's own
        names do not lead."""
        ...


def stored(words: str) -> str:
    """The literal that carries a definition's words in DuckDB's catalogue.

    >>> stored("AS SELECT 'a'")
    "'/* AnserDB reads: */ AS SELECT ''a'''"
    """
    return "'" + (_MARK + words).replace("'", "''") + "'"


def in_own_words(sql: str) -> str:
    """A ``CREATE VIEW`` of DuckDB's catalogue as the user wrote it, where a stand-in is kept.

    >>> in_own_words(f"CREATE VIEW v (a) AS WITH anserdb_definition AS (SELECT {stored('(a) AS SELECT 1')} AS words) FROM t;")
    'CREATE VIEW v (a) AS SELECT 1'
    """
    found = _STORED.search(sql)
    if found is None:
        return sql
    words = found[1].replace("''", "'")
    head = sql.partition(" AS WITH ")[0]
    return f"{head.rpartition(' (')[0] if words.startswith('(') else head} {words}"


def from_catalogue(kind: Kind, database: str, schema: str, name: str, sql: str) -> Definition | None:
    """The definition behind a text of DuckDB's catalogue; ``None`` if it is DuckDB's own business."""
    found = _STORED.search(sql)
    if found is None:
        return None
    text = Text(found[1].replace("''", "'"))
    head = text.inside(0) if text.word(0) == "(" else Range(0, 0)
    at = text.partner[0] + 1 if text.word(0) == "(" else 0
    body = text.source(
        Range(at + (2 if text.word(at + 1) == "TABLE" and kind == "table macro" else 1), len(text.tokens))
    )
    if kind == "view":
        columns = text.source(Range(0, at)) if at else ""
        return Definition(kind, database, schema, name, body, columns)
    return Definition(kind, database, schema, name, body, parameters=parameters(text, head))


def parameters(text: Text, where: Range) -> tuple[Parameter, ...]:
    """``a, b INTEGER, c := 1``."""
    return tuple(_parameter(text, part) for part in text.split(where)) if where else ()


def _parameter(text: Text, where: Range) -> Parameter:
    name = text.source(Range(where.lo, where.lo + 1)).strip('"')
    assigned = next((i for i in text.top(where) if text.word(i) in (":=", "=>")), where.hi)
    kind = text.source(Range(where.lo + 1, assigned)) if assigned > where.lo + 1 else ""
    default = text.source(Range(assigned + 1, where.hi)) if assigned < where.hi else ""
    return Parameter(name, kind, default)
