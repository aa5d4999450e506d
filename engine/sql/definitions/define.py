"""``CREATE VIEW`` and ``CREATE MACRO`` with calls: the statement that DuckDB carries out, with stand-ins for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import BindError, NotSupportedError
from ..bind_call import BoundCall, BoundCalls, bind_call
from ..catalog import Catalog
from ..locate import LocatedCall, locate
from ..splice import Splice
from ..stand_in import name_items, result_columns, stand_in, statement_range
from ..tokens import NOTHING, Range, Text
from .definition import parameters, stored
from .places import Places


@dataclass(frozen=True, slots=True)
class _Part:
    """One body: ``whole`` is what stands behind the name (``(a) AS TABLE …``), ``query`` whether the body is a query."""

    whole: Range
    head: Range
    body: Range
    query: bool


@dataclass(frozen=True, slots=True)
class _Created:
    kind: str
    name: str
    parts: tuple[_Part, ...]


def creates(text: Text) -> bool:
    """Whether a statement defines a view or macro."""
    return _created(text) is not None


def define(original: Text, text: Text, catalog: Catalog) -> str | None:
    """The statement for DuckDB; ``None`` if it defines nothing, or nothing that asks a model.

    Parameters
    ----------
    original : the user's words, which the definition keeps. text : the same with calls in our own words.

    Raises
    ------
    BindError : a call or the body is wrong, with the place in ``text``. NotSupportedError : a view that reads itself.
    """
    created, written = _created(text), _created(original)
    if created is None or written is None:
        return None
    asked = [part for part in created.parts if _asks(text, part.body, catalog)]
    if not asked:
        return None
    if "RECURSIVE" in (text.word(i) for i in range(1, 5)):
        raise NotSupportedError("A recursive view cannot ask a model. Write WITH RECURSIVE … inside the view's query.")
    splice = Splice(text)
    if created.kind == "VIEW":
        _stand_in_view(text, splice, created, catalog)
    for part, words in zip(created.parts, written.parts, strict=True):
        if part in asked:
            if created.kind != "VIEW":
                _stand_in_macro(text, splice, part, created.name, catalog)
            body = splice.render(part.body)[0]
            splice.replace(part.body, _with_words(body, stored(original.source(words.whole)), part.query))
    return splice.render(statement_range(text))[0]


def _created(text: Text) -> _Created | None:
    words = [text.word(i) for i in range(min(5, len(text.tokens)))]
    kind = next((w for w in words if w in ("VIEW", "MACRO", "FUNCTION")), None)
    if words[:1] != ["CREATE"] or kind is None or "TABLE" in words[: words.index(kind)]:
        return None
    at = words.index(kind) + 1
    if text.word(at) == "IF":
        at += 3
    name = Places(text).name_at(at)
    if name is None:
        return None
    behind = Range(name.where.hi, statement_range(text).hi)
    parts = tuple(_view(text, behind) if kind == "VIEW" else _macros(text, behind))
    return _Created(kind, name.parts[-1], parts)


def _view(text: Text, behind: Range) -> Iterator[_Part]:
    start = next((i + 1 for i in text.top(behind) if text.word(i) == "AS"), None)
    if start is not None:
        yield _Part(behind, NOTHING, Range(start, behind.hi), True)


def _macros(text: Text, behind: Range) -> Iterator[_Part]:
    """Each ``(parameters) AS [TABLE] body``; a comma before the next."""
    marks = [i for i in text.top(behind) if _begins_overload(text, i, behind.lo)]
    for mark, following in zip(marks, [*marks[1:], behind.hi + 1], strict=True):
        whole = Range(mark, following - 1)
        after = text.partner[mark] + 2
        table = text.word(after) == "TABLE"
        yield _Part(whole, text.inside(mark), Range(after + table, whole.hi), table)


def _begins_overload(text: Text, index: int, first: int) -> bool:
    if text.word(index) != "(" or text.word(text.partner[index] + 1) != "AS":
        return False
    # In a query ``, (b) AS x`` is a select item.
    table = text.word(text.partner[first] + 2) == "TABLE" if text.word(first) == "(" else False
    return index == first or (
        text.word(index - 1) == "," and (not table or text.word(text.partner[index] + 2) == "TABLE")
    )


def _asks(text: Text, body: Range, catalog: Catalog) -> bool:
    """Whether a body has calls, or reads what has."""
    if locate(text, body, catalog.functions):
        return True
    places = Places(text)
    names = [name for i in range(body.lo, body.hi) if (name := places.name_at(i)) is not None]
    known = catalog.definitions
    return any(
        known.macros(n.parts, "table macro" if places.is_source(n.where.lo) else "macro")
        if text.word(n.where.hi) == "("
        else places.is_table(n) and known.view(n.parts) is not None
        for n in names
        if known.mentioned(n.parts[-1])
    )


def _stand_in_view(text: Text, splice: Splice, created: _Created, catalog: Catalog) -> None:
    calls: BoundCalls = {c.whole.lo: bind_call(text, c, catalog) for c in locate(text, text.all(), catalog.functions)}
    result_columns(text, calls, catalog)  # DuckDB's complaints, at the user's own words
    for bound in calls.values():
        refusal = _refusal(created.name, bound.located)
        stand_in(text, splice, bound.located, f"CAST({refusal} AS {bound.type.text})", bound.arguments.texts)
    for part in created.parts:
        name_items(text, part.body, calls, splice)


def _stand_in_macro(text: Text, splice: Splice, part: _Part, name: str, catalog: Catalog) -> None:
    given = {p.name.lower() for p in parameters(text, part.head)}
    for located in locate(text, part.body, catalog.functions):
        refusal, bound = _refusal(name, located), _bound(text, located, given, catalog)
        stand_in(text, splice, located, f"CAST({refusal} AS {bound.type.text})" if bound else refusal, ())


def _bound(text: Text, located: LocatedCall, given: set[str], catalog: Catalog) -> BoundCall | None:
    """The call, unless what it is depends on the macro's arguments. Raises BindError if it is wrong whatever they are."""
    try:
        return bind_call(text, located, catalog)
    except BindError as error:
        place = error.position
        words = {t.word.strip('"').lower() for t in text.tokens if place and place.start <= t.start < place.end}
        if not words & given:
            raise
        return None


def _refusal(name: str, located: LocatedCall) -> str:
    message = f"{name} asks a model ({located.function.sql_name}): SELECT from it on an AnserDB connection"
    return "error('" + message.replace("'", "''") + "')"


def _with_words(body: str, words: str, query: bool) -> str:
    if query:
        return f"WITH anserdb_definition AS (SELECT {words} AS words) SELECT * FROM ({body})"
    return f"CASE WHEN {words} IS NULL THEN NULL ELSE ({body}) END"
