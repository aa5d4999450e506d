"""Find the semantic calls of a statement: a known name, an opening parenthesis, arguments cut at commas."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from ...udfs.spec import SemanticFunction
from ..errors import BindError, Position
from .tokens import NOTHING, Range, Text


@dataclass(frozen=True, slots=True)
class LocatedCall:
    """A call in the text.

    Parameters
    ----------
    function : what it calls. whole : name to closing parenthesis, with a following ``FILTER (…)``.
    arguments : positional arguments. options : named arguments (lower case) and the range of their values.
    modifiers : an aggregate's ``ORDER BY …`` inside the parentheses; ``distinct``: its DISTINCT.
    filter : what ``FILTER (WHERE …)`` holds after WHERE.
    """

    function: SemanticFunction
    whole: Range
    arguments: tuple[Range, ...]
    options: Mapping[str, Range]
    distinct: bool
    order_by: Range
    filter: Range


def locate(text: Text, where: Range, functions: Mapping[str, SemanticFunction]) -> list[LocatedCall]:
    """Every semantic call in the range, nested ones too, in the order of their names in the text.

    Raises
    ------
    BindError : an ``LLM_…`` name that does not exist, or a call with a window.
    """
    found = []
    for index in range(where.lo, where.hi):
        if text.word(index + 1) != "(" or text.tokens[index].quoted or text.word(index - 1) == ".":
            continue
        function = functions.get(text.word(index))
        if function is not None:
            found.append(_call(text, index, function))
        elif text.word(index).startswith("LLM_"):
            raise _unknown(text, index, functions)
    return found


def position(text: Text, where: Range) -> Position:
    """The place of a range in the user's SQL."""
    return Position(text.sql, *text.span(where))


def mentions(sql: str, functions: Mapping[str, SemanticFunction]) -> bool:
    """A quick look whether the statement may hold a semantic call; plain SQL need not even be tokenised."""
    upper = sql.upper()
    return "LLM_" in upper or any(name in upper for name in functions)


def _call(text: Text, index: int, function: SemanticFunction) -> LocatedCall:
    opening = index + 1
    inner = text.inside(opening)
    distinct = text.word(inner.lo) == "DISTINCT"
    if distinct:
        inner = Range(inner.lo + 1, inner.hi)
    order = next((i for i in text.top(inner) if text.word(i) == "ORDER BY"), inner.hi)
    order_by = Range(order + 1, inner.hi) if order < inner.hi else NOTHING
    arguments, options = _arguments(text, Range(inner.lo, order))
    end = text.partner[opening] + 1
    filtered = NOTHING
    if text.word(end) == "FILTER" and text.word(end + 1) == "(":
        content = text.inside(end + 1)
        filtered = Range(content.lo + (text.word(content.lo) == "WHERE"), content.hi)
        end = text.partner[end + 1] + 1
    whole = Range(index, end)
    if text.word(end) == "OVER":
        raise BindError(
            f"{function.sql_name} cannot have an OVER clause. Compute it in a subquery and use the window above it.",
            position(text, whole),
            name=function.sql_name,
        )
    if function.kind == "scalar" and (distinct or order_by or filtered):
        raise BindError(
            f"{function.sql_name} is not an aggregate: DISTINCT, ORDER BY and FILTER have no meaning in it.",
            position(text, whole),
            name=function.sql_name,
        )
    return LocatedCall(function, whole, arguments, options, distinct, order_by, filtered)


def _arguments(text: Text, inner: Range) -> tuple[tuple[Range, ...], dict[str, Range]]:
    positional: list[Range] = []
    named: dict[str, Range] = {}
    for part in text.split(inner):
        if not part:
            raise BindError(
                "An argument is missing here.", Position(text.sql, text.tokens[part.lo].start, text.tokens[part.lo].end)
            )
        if text.word(part.lo + 1) in (":=", "=>"):
            name = text.source(Range(part.lo, part.lo + 1)).strip('"').lower()
            if name in named:
                raise BindError(f"{name} is given twice.", position(text, part), name=name)
            named[name] = Range(part.lo + 2, part.hi)
        elif named:
            raise BindError("A positional argument cannot follow a named one.", position(text, part))
        else:
            positional.append(part)
    return tuple(positional), named


def _unknown(text: Text, index: int, functions: Mapping[str, SemanticFunction]) -> BindError:
    name = text.word(index)
    near = difflib.get_close_matches(name, functions, n=2)
    return BindError(
        f"There is no semantic function {name}.", position(text, Range(index, index + 1)), name=name, candidates=near
    )
