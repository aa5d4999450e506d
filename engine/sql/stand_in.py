"""The user's statement with every call turned into a typed NULL, so that DuckDB can judge all of it at once.

What DuckDB says of it is true of the user's statement: the names and types of the result, and what is wrong with it. The
arguments stay in the text as they are, so that an error points at the user's own words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from ..errors import BindError, Position
from ..plan.nodes import Column
from .bind_call import BoundCalls
from .catalog import Catalog, Diagnosis
from .guarantee import score_of
from .items import Item, select_items, unnests
from .laterals import check_item, frame
from .locate import LocatedCall
from .names import quote
from .query import parse_block, parse_query, subqueries
from .scope import NotLiftableError, parse_ast
from .splice import Splice
from .tokens import Range, Text

_QUERIES = frozenset({"SELECT", "WITH", "FROM", "VALUES", "PIVOT", "UNPIVOT", "TABLE", "("})
_CHANGES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
_OTHERS = _CHANGES | {"CREATE", "COPY"}
_NOT_CONSTANT = " OR random() > 1"  # DuckDB takes a field of a constant that is NULL for a NULL without a type


def result_columns(text: Text, calls: BoundCalls, catalog: Catalog) -> tuple[Column, ...]:
    """Names and types of the statement's result; none for a statement that is no query.

    Raises
    ------
    BindError : DuckDB rejects the statement, at the place in the user's text.
    """
    whole = statement_range(text)
    splice = Splice(text)
    for bound in calls.values():
        check_item(text, bound)
        stand_in(text, splice, bound.located, f"NULL::{bound.type.text}", bound.arguments.texts)
    if is_query(text):
        name_items(text, whole, calls, splice)
    sql = splice.render(whole)[0]
    try:
        if text.word(0) in _OTHERS:
            catalog.check(sql)
        described = catalog.describe(sql) if is_query(text) else []
    except duckdb.Error as error:
        raise _complaint(sql, error, splice, whole, catalog) from None
    if any(token.word == "PIVOT" for token in text.tokens):
        return ()  # its columns are values, which stand-ins do not have
    return tuple(Column(n, t, n) for n, t in described)


def is_query(text: Text) -> bool:
    """Whether the statement yields rows by itself."""
    changes = any(text.word(i) in _CHANGES for i in text.top(text.all())) if text.word(0) == "WITH" else False
    return text.word(0) in _QUERIES and not changes


def statement_range(text: Text) -> Range:
    """The statement without the semicolons at its end."""
    end = len(text.tokens)
    while end and text.word(end - 1) == ";":
        end -= 1
    return Range(0, end)


def stand_in(text: Text, splice: Splice, located: LocatedCall, value: str, texts: Sequence[str]) -> None:
    """``F(a, b)`` → ``CASE WHEN (a) IS NULL OR (b) IS NULL THEN value ELSE value END``, the arguments untouched.

    ``texts`` are the call's arguments, with the columns behind them that only its template names. An expression that is the call's
    proxy is judged as an argument is.
    """
    start, end = text.span(Range(located.whole.lo, located.over.lo) if located.over else located.whole)
    aggregate = located.function.kind == "aggregate"
    before, behind = frame(text, located.whole) if located.in_from else ("", "")
    at, glue = start, f"{before}{'any_value(' if aggregate else ''}CASE WHEN ("
    score = score_of(text, located)
    for argument in (*located.arguments, *([score] if score else [])):
        first, last = text.span(argument)
        splice.replace_characters(at, first, glue)
        at, glue = last, ") IS NULL OR ("
    named = "".join(f" OR ({t}) IS NULL" for t in texts[len(located.arguments) :])
    if not named and all(_is_constant(text, argument) for argument in located.arguments):
        named = _NOT_CONSTANT
    glue = f") IS NULL{named} THEN {value} ELSE {value} END"
    for part, word in ((located.order_by, " ORDER BY "), (located.filter, ") FILTER (WHERE ")):
        if part:
            first, last = text.span(part)
            splice.replace_characters(at, first, glue + word)
            at, glue = last, ""
    splice.replace_characters(at, end, f"{glue}{')' if aggregate else ''}{behind}")


def _is_constant(text: Text, where: Range) -> bool:
    """Whether an expression reads no column: it has literals and what is called alone."""
    return all(
        token.word[:1] == "'" or not (token.quoted or token.word[:1].isalpha()) or text.word(index + 1) in ("(", ":")
        for index, token in enumerate(text.tokens[where.lo : where.hi], where.lo)
    )


def _complaint(sql: str, error: duckdb.Error, splice: Splice, whole: Range, catalog: Catalog) -> BindError:
    """DuckDB's error about the stand-in as one about the user's text."""
    found = (
        catalog.diagnose(sql, error) if is_query(splice.text) else Diagnosis(str(error).split("\n\nLINE")[0].strip())
    )
    start = None if found.start is None else splice.origin(whole, found.start)
    place = _placeholder(splice.text, found.name, start) or _place(splice.text, start, found)
    return BindError(found.message, place, found.name)


def _place(text: Text, start: int | None, found: Diagnosis) -> Position | None:
    if start is None:
        return _named_place(text, found.message)
    token = next((t for t in text.tokens if t.start == start), None)
    end = max(start + found.length, token.end if token else start + 1)
    return Position(text.sql, start, min(end, len(text.sql)))


def _placeholder(text: Text, name: str, start: int | None) -> Position | None:
    """A column that only a template names: ``'{name} …'``."""
    if not name or (start is not None and text.sql[start:].lower().startswith(name.lower())):
        return None
    found = re.search(rf"\{{\s*(\w+\.)?{re.escape(name)}\s*\}}", text.sql, re.IGNORECASE)
    return Position(text.sql, *found.span()) if found else None


def _named_place(text: Text, message: str) -> Position | None:
    """The word that a message without a place is about."""
    found = re.search(r'(?:name|column|[Tt]able|function)\s+"?(\w+)"?\s+(?:does|not|must|has|was|already)', message)
    name = found[1].lower() if found else None
    token = next((t for t in text.tokens if t.word.strip('"').lower() == name), None)
    return Position(text.sql, token.start, token.end) if token else None


def name_items(text: Text, where: Range, calls: BoundCalls, splice: Splice) -> None:
    """Name select items that hold a call, in every block: DuckDB would name them after their stand-ins."""
    query = parse_query(text, where)
    for branch in query.branches:
        for item in _items(text, branch, calls):
            asks = any(item.core.lo <= start < item.core.hi for start in calls)
            if asks and item.name is not None and not item.aliased and not unnests(text, item.core):
                end = text.span(item.where)[1]
                splice.replace_characters(end, end, f" AS {quote(item.name)}")
    for inner in (*(c.body for c in query.ctes), *(s for b in query.branches for s in subqueries(text, b))):
        name_items(text, inner, calls, splice)


def _items(text: Text, branch: Range, calls: BoundCalls) -> list[Item]:
    block = parse_block(text, branch) if any(branch.lo <= start < branch.hi for start in calls) else None
    try:
        return select_items(text, block, parse_ast(text, branch), calls) if block else []
    except NotLiftableError:
        return []
