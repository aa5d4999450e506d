"""A call as it is written: its arguments cut at commas, its named arguments, what an aggregate has besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import BindError, Position
from .tokens import NOTHING, Range, Text


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call before anybody knows what it calls.

    Parameters
    ----------
    whole : name to closing parenthesis, with a following ``FILTER (…)``.
    arguments : positional arguments. options : named arguments (lower case) and the range of their values.
    distinct, order_by, filter : an aggregate's DISTINCT, what follows its ORDER BY, and what ``FILTER (WHERE …)`` holds.
    """

    whole: Range
    arguments: tuple[Range, ...]
    options: Mapping[str, Range]
    distinct: bool
    order_by: Range
    filter: Range


def position(text: Text, where: Range) -> Position:
    """The place of a range in the user's SQL."""
    return Position(text.sql, *text.span(where))


def read_call(text: Text, start: int, opening: int) -> WrittenCall:
    """The call whose name begins at ``start`` and whose parenthesis opens at ``opening``.

    Raises
    ------
    BindError : an argument is empty, a name is given twice, or a positional argument follows a named one.
    """
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
    return WrittenCall(Range(start, end), arguments, options, distinct, order_by, filtered)


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
