"""The pass: a view that asks a model becomes a CTE in front of the query, such a macro its body in its place.

A CTE in front, under a name of ours, sees none of the query's own CTEs, as a view does not; read twice it is asked once.
A table macro is a subquery in its place, where it sees what DuckDB's macros see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ...errors import BindError, ProgrammingError
from ...types import quote
from ..call_text import WrittenCall, position, read_call
from ..catalog import Catalog
from ..dialects.rewrite import rewrite
from ..dialects.rewritten import Piece, Rewritten
from ..locate import NAMES_A_TABLE
from ..tokens import Range, Text
from .definition import Definition, Kind
from .places import Name, Places
from .substitute import matching, substituted

_NO_QUERY = frozenset({"DROP", "ALTER", "COMMENT", "DESCRIBE", "DESC", "SHOW"})
_STARTS = ("SELECT", "WITH", "FROM", "VALUES", "PIVOT", "UNPIVOT")


@dataclass(frozen=True, slots=True)
class _Site:
    """Tokens that become other words."""

    where: Range
    text: str


def expand(text: Text, catalog: Catalog) -> Rewritten | None:
    """The statement with the bodies of what it reads; ``None`` where it reads nothing that asks a model.

    Raises
    ------
    BindError : a macro's arguments are wrong, or a definition reads itself, with the place in the text.
    """
    if text.word(0) in _NO_QUERY or not catalog.definitions.mentioned(text.sql):
        return None
    expansion = _Expansion(catalog)
    sites = expansion.sites(text, Places(text), text.all())
    if not sites:
        return None
    return Rewritten(text.sql, tuple(piece for piece in _pieces(text, sites, expansion.entries) if piece.text))


def _pieces(text: Text, sites: list[_Site], entries: Sequence[str]) -> Iterator[Piece]:
    at = _front(text)
    yield Piece(text.sql[:at], 0, at, True)
    if entries:
        with_already = text.word(_query_start(text)) == "WITH"
        front = f"{', '.join(entries)}, " if with_already else f"WITH {', '.join(entries)} "
        yield Piece(front, *text.span(sites[0].where), False)
    for site in sites:
        start, end = text.span(site.where)
        yield Piece(text.sql[at:start], at, start, True)
        yield Piece(site.text, start, end, False)
        at = end
    yield Piece(text.sql[at:], at, len(text.sql), True)


def _front(text: Text) -> int:
    """The character before which CTEs go: the query's first, or what follows its WITH."""
    index = _query_start(text)
    if text.word(index) == "WITH":
        index += 2 if text.word(index + 1) == "RECURSIVE" else 1
    return text.tokens[index].start


class _Expansion:
    """One statement's: the CTEs that it needs so far."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._definitions = catalog, catalog.definitions
        self._names: dict[str, str] = {}
        self._open: list[str] = []
        self.entries: list[str] = []

    def sites(self, text: Text, places: Places, where: Range, owner: Definition | None = None) -> list[_Site]:
        """What of a range becomes other words, outermost only; ``owner``: whose body the text is."""
        found, index = list[_Site](), where.lo
        while index < where.hi:
            name = places.name_at(index)
            site = None if name is None else self._site(text, places, name, owner)
            if site is not None:
                found.append(site)
            index = index + 1 if site is None else site.where.hi
        return found

    def _rendered(self, text: Text, places: Places, where: Range, owner: Definition | None) -> str:
        """A range with its sites replaced."""
        pieces = list[str]()
        at, end = text.span(where)
        for site in self.sites(text, places, where, owner):
            start, stop = text.span(site.where)
            pieces += [text.sql[at:start], site.text]
            at = stop
        return "".join([*pieces, text.sql[at:end]])

    def _body(self, body: str, owner: Definition) -> str:
        """A definition's body in our own words, and with the bodies of what it reads."""
        lead = "SELECT " if owner.kind == "macro" else ""  # the dialects read statements
        text = Text(f"{lead}{body}")
        rewritten = rewrite(text, self._catalog)
        text = text if rewritten is None else Text(rewritten.sql)
        return self._rendered(text, Places(text), text.all(), owner).removeprefix(lead)

    def _site(self, text: Text, places: Places, name: Name, owner: Definition | None) -> _Site | None:
        if text.word(name.where.hi) == "(":
            return self._macro(text, places, name, owner)
        if not places.is_table(name):
            return self._qualified_column(name)
        home = self._definitions.home(owner, name.parts) if owner else None
        definition = self._definitions.view(home or name.parts)
        if definition is not None:
            table = self._entry(definition, text, name.where)
        elif home is not None:
            table = ".".join(map(quote, home))
        else:
            return None
        if text.word(name.where.lo - 1) == "SUMMARIZE":
            return _Site(name.where, f"FROM {table}")
        if text.word(name.where.lo - 1) == "TABLE":
            return _Site(name.where, table)
        alias = "" if places.is_renamed(name) else f" AS {text.source(Range(name.where.hi - 1, name.where.hi))}"
        return _Site(name.where, table + alias)

    def _qualified_column(self, name: Name) -> _Site | None:
        """``schema.view.column``, ``database.schema.view.column``: the view has no schema any more."""
        for end in (3, 2):
            if len(name.parts) > end and self._definitions.view(name.parts[:end]) is not None:
                return _Site(name.where, ".".join(map(quote, name.parts[end - 1 :])))
        return None

    def _entry(self, definition: Definition, text: Text, where: Range) -> str:
        """The CTE that a view has become."""
        if definition.place not in self._names:
            with self._opened(definition, text, where):
                body = self._body(definition.body, definition)
            name = self._names[definition.place] = f"__view{len(self._names) + 1}"
            self.entries.append(f"{name}{definition.columns} AS ({body})")
        return self._names[definition.place]

    def _macro(self, text: Text, places: Places, name: Name, owner: Definition | None) -> _Site | None:
        if _names_columns(text, places, name):
            return None
        kind: Kind = "table macro" if places.is_source(name.where.lo) else "macro"
        offered = self._definitions.macros(name.parts, kind)
        if not offered and owner and len(name.parts) == 1:
            offered = self._definitions.macros((owner.database, owner.schema, *name.parts), kind)
        if not offered:
            return None
        written = read_call(text, name.where.lo, name.where.hi)
        matched = matching(text, written, offered, lambda r: self._rendered(text, places, r, owner))
        if matched is None:
            return None
        definition, given = matched
        _refuse_modifiers(text, written, definition)
        place = position(text, written.whole)
        made = substituted(Text(definition.body), definition, given, self._catalog.functions, place)
        with self._opened(definition, text, name.where):
            return _Site(written.whole, self._body(f"({made})", definition))

    @contextmanager
    def _opened(self, definition: Definition, text: Text, where: Range) -> Iterator[None]:
        if definition.place in self._open:
            message = f"The {definition.kind} {definition.name} reads itself."
            raise BindError(message, position(text, where), definition.name)
        self._open.append(definition.place)
        try:
            yield
        except ProgrammingError as error:
            raise error.at(position(text, where)) from None
        finally:
            self._open.pop()


def _names_columns(text: Text, places: Places, name: Name) -> bool:
    """Whether a name before a bracket is a table's or an alias: ``INSERT INTO k (a)``, ``FROM t AS k(a)``."""
    before = text.word(name.where.lo - 1)
    if before == "ON":  # JOIN u ON k(a), but CREATE INDEX i ON k(a)
        return text.word(0) == "CREATE" and "INDEX" in (text.word(1), text.word(2))
    return before == "AS" or before in NAMES_A_TABLE or places.is_alias(name)


def _refuse_modifiers(text: Text, written: WrittenCall, definition: Definition) -> None:
    if written.distinct or written.order_by or written.filter:
        message = (
            f"{definition.name} is a macro: DISTINCT, ORDER BY and FILTER have no meaning in its call, as in DuckDB."
        )
        raise BindError(message, position(text, written.whole), definition.name)


def _query_start(text: Text) -> int:
    """Where the statement's query begins; its very beginning for UPDATE and the like, which take a WITH there."""
    first = text.word(0)
    if first == "COPY" and text.word(1) == "(":
        return 2
    if first == "SUMMARIZE":
        return 1
    if first in ("UPDATE", "DELETE", "MERGE", "TABLE", "("):
        return 0
    return next((i for i in text.top(text.all()) if text.word(i) in _STARTS), 0)
