"""The pass: every call in a dialect's form becomes a canonical one, in place; all other words stay the user's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from ...errors import BindError
from ...types import quote
from ..call_text import WrittenCall, position, read_call
from ..catalog import Catalog
from ..common_options import common_options
from ..tokens import Range, Text
from . import forms
from .form import Dialect, Form
from .heads import begins_call
from .naming import item_name
from .parts import New, Parts
from .rewritten import Piece, Rewritten
from .spoken import Notes, Spoken, ended


@dataclass(frozen=True, slots=True)
class _Head:
    """A name with a parenthesis after it."""

    name: str
    start: int
    opening: int


def rewrite(text: Text, catalog: Catalog) -> Rewritten | None:
    """The statement with canonical calls only; ``None`` where it names no form.

    Raises
    ------
    BindError : a form's arguments or options are wrong, with the place in the user's text.
    """
    heads = {head.start: head for head in _heads(text)}
    if not heads:
        return None
    pass_ = _Pass(text, catalog, heads)
    pieces = tuple(piece for piece in pass_.all() if piece.text)
    if all(piece.own for piece in pieces):
        return None
    return Rewritten(text.sql, pieces, pass_.notes.lines(), pass_.words)


def _heads(text: Text) -> Iterator[_Head]:
    known = forms()
    for index, token in enumerate(text.tokens):
        if token.quoted or (token.word not in known and token.word != "AI") or text.word(index - 1) == ".":
            continue
        dotted = token.word == "AI" and text.word(index + 1) == "."
        name, opening = (f"AI.{text.word(index + 2)}", index + 3) if dotted else (token.word, index + 1)
        if name in known and text.word(opening) == "(":
            yield _Head(name, index, opening)


class _Pass:
    """One walk over a statement. A call is opened only where its text is kept, so what a form reads itself (PROMPT(…)
    inside AI_FILTER) is not taken for a call of its own."""

    def __init__(self, text: Text, catalog: Catalog, heads: dict[int, _Head]) -> None:
        self.text, self.catalog, self.heads = text, catalog, heads
        self.notes, self.words = Notes(), dict[str, str]()
        self._free: dict[str, bool] = {}

    def all(self) -> Iterator[Piece]:
        """The whole statement."""
        whole = self.text.all()
        start, end = self.text.span(whole)
        yield self._own(0, start)
        yield from self._render(whole)
        yield self._own(end, len(self.text.sql))

    def _render(self, where: Range) -> Iterator[Piece]:
        at, end = self.text.span(where)
        index = where.lo
        while index < where.hi:
            found = self._rewritten(self.heads[index]) if index in self.heads else None
            if found is None:
                index += 1
                continue
            whole, parts = found
            start, stop = self.text.span(whole)
            yield self._own(at, start)
            made = list(self._pieces(parts, start, stop))
            self.words["".join(piece.text for piece in made)] = self.text.sql[start:stop]
            yield from made
            at, index = stop, whole.hi
        yield self._own(at, end)

    def _pieces(self, parts: Parts, start: int, stop: int) -> Iterator[Piece]:
        for part in parts:
            match part:
                case str():
                    yield Piece(part, start, stop, False)
                case New(text, at):
                    yield Piece(text, *self.text.span(at), False)
                case Range():
                    yield from self._render(part)

    def _own(self, start: int, end: int) -> Piece:
        return Piece(self.text.sql[start:end], start, end, True)

    def _rewritten(self, head: _Head) -> tuple[Range, Parts] | None:
        """What the call becomes, and what of the text it replaces; ``None``: it is no call in a dialect's form."""
        if not begins_call(self.text, head.start, head.opening):
            return None
        written = read_call(self.text, head.start, head.opening)
        spoken = self._form(head, written)
        if spoken is None or not self._is_free(head.name):
            return None
        spoken.check()
        self._refuse_modifiers(spoken)
        try:
            parts = spoken.form.rewrite(spoken)
        except ValueError as error:
            message = f"{spoken.dialect.possessive} {spoken.name}: {ended(str(error))}"
            raise BindError(message, position(self.text, written.whole), spoken.name) from None
        return self._named(written.whole, head.name, parts)

    def _form(self, head: _Head, written: WrittenCall) -> Spoken | None:
        offered: list[tuple[Dialect, Form]] = []
        for dialect, form in forms()[head.name]:
            if any(function not in self.catalog.functions for function in form.needs):
                continue
            spoken = Spoken(self.text, written, head.name, form, dialect, self.catalog, self.notes)
            if form.matches(spoken):
                return spoken
            offered.append((dialect, form))
        self._refuse_options(head, written, offered)
        return None

    def _refuse_options(self, head: _Head, written: WrittenCall, offered: list[tuple[Dialect, Form]]) -> None:
        """An option that neither our function of that name nor any form of it has; of ``LLM_*`` the binder says it."""
        function = self.catalog.functions.get(head.name)
        if function is None or not offered or head.name.startswith("LLM_"):
            return
        ours = {option.name for option in (*common_options(function), *function.options)}
        theirs = {name for _, form in offered for name in (*form.parameters, *form.options)}
        for option, where in written.options.items():
            if option not in ours | theirs:
                near = difflib.get_close_matches(option, sorted(ours | theirs), n=2)
                systems = " or ".join(dict.fromkeys(dialect.name for dialect, _ in offered))
                message = f"{head.name} has no option {option}, neither here nor in {systems}."
                raise BindError(message, position(self.text, Range(where.lo - 2, where.lo - 1)), option, near)

    def _refuse_modifiers(self, spoken: Spoken) -> None:
        written = spoken.written
        if (written.distinct or written.order_by or written.filter) and not spoken.form.aggregate:
            message = f"{spoken.name} is not an aggregate: DISTINCT, ORDER BY and FILTER have no meaning in it."
            raise BindError(message, position(self.text, written.whole), spoken.name)

    def _named(self, whole: Range, name: str, parts: Parts) -> tuple[Range, Parts]:
        if self.text.word(whole.hi) == "." and self.text.word(whole.hi + 1) == "*":  # BigQuery's call(…).*
            return Range(whole.lo, whole.hi + 2), ("unnest(", *parts, ")")
        item = item_name(self.text, whole, name)
        if item is None:
            return whole, parts
        called, end = item
        after: Parts = (Range(whole.hi, end),) if end > whole.hi else ()
        return Range(whole.lo, end), (*parts, *after, f" AS {quote(called)}")

    def _is_free(self, name: str) -> bool:
        """Whether DuckDB has no function of that name; the user's own functions come before our forms. Names that our
        own functions have are ours."""
        if name in self.catalog.functions:
            return True
        if name not in self._free:
            self._free[name] = self._schema_is_free(name[3:]) if name.startswith("AI.") else self._unknown(name)
        return self._free[name]

    def _unknown(self, name: str) -> bool:
        # Asking for the function list takes DuckDB tens of milliseconds; being refused a call takes it none.
        try:
            self.catalog.describe(f"SELECT {name}()")
        except duckdb.CatalogException:
            return True
        except duckdb.Error:
            pass
        return False

    def _schema_is_free(self, function: str) -> bool:
        schema = "EXISTS (SELECT 1 FROM duckdb_schemas() WHERE lower(schema_name) = 'ai')"
        if not self.catalog.constant(schema):
            return True
        name = f"lower(schema_name) = 'ai' AND upper(function_name) = '{function}'"
        return not self.catalog.constant(f"EXISTS (SELECT 1 FROM duckdb_functions() WHERE {name})")
