"""What the statements share: names, constants, option lists, and errors that show the place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import duckdb

from ...errors import ParseError, Position
from ..tokens import Range, Text

Evaluate = Callable[[str], Any]
"""The value of a literal, as DuckDB reads it."""

_ASSIGNS = ("=", ":=", "=>")


@dataclass(frozen=True, slots=True)
class Options:
    """``(name value, …)``: values by lower-case name, and where each stands in the text (``places``)."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands between a CALL's parentheses, with the place of every argument, a named one under its name."""

    positional: tuple[Any, ...]
    named: Mapping[str, Any]
    places: Mapping[str, Position]


def place(text: Text, where: Range) -> Position:
    """A place in the statement, drawn without what its strings hold: one of them may be a key in the wrong place."""
    shown = list(text.sql)
    for token in text.tokens:
        if token.quoted and token.word[:1] != '"':
            shown[token.start + 1 : token.end - 1] = ["*"] * (token.end - token.start - 2)
    return Position("".join(shown), *text.span(where))


def expected(text: Text, index: int, what: str) -> ParseError:
    """The error for a token (or the end) where something else has to stand."""
    at = min(index, len(text.tokens) - 1)
    return ParseError(f"Expected {what}.", place(text, Range(at, at + 1)))


def name_at(text: Text, index: int, what: str) -> str:
    """A name, with or without quotes."""
    word = text.word(index)
    if not word or not (text.tokens[index].quoted or word.replace("_", "a").isalnum()):
        raise expected(text, index, f'{what} (in double quotes if it holds more than letters, digits and _: "my-own")')
    source = text.source(Range(index, index + 1))
    if not text.tokens[index].quoted:
        return source
    quote = source[-1]
    name = source[1:-1].replace(quote * 2, quote)
    if not name.strip():
        raise ParseError(f"Expected {what}, which is not empty.", place(text, Range(index, index + 1)))
    return name


def end(text: Text, index: int, what: str) -> None:
    """Nothing may follow."""
    if index < len(text.tokens) and text.word(index) != ";":
        raise expected(text, index, f"the end of {what}")


def skip(text: Text, at: int, *words: str) -> tuple[int, bool]:
    """The index behind these words, and whether they stand there; words that end before they are whole are refused."""
    if text.word(at) != words[0]:
        return at, False
    for offset, word in enumerate(words):
        if text.word(at + offset) != word:
            raise expected(text, at + offset, " ".join(words))
    return at + len(words), True


def constant(text: Text, where: Range, evaluate: Evaluate) -> Any:
    """The value of a constant expression; decimals come as floats."""
    if not where:
        raise expected(text, where.lo, "a value")
    try:
        return _plain(evaluate(text.source(where)))
    except duckdb.Error as error:
        # DuckDB quotes what it was given, and a string in it may be a key.
        holds_text = any(text.tokens[i].quoted for i in range(where.lo, where.hi))
        reason = "" if holds_text else f": {str(error).partition(chr(10))[0]}"
        raise ParseError(f"This is not a constant{reason}.", place(text, where)) from None


def word_or_constant(text: Text, where: Range, evaluate: Evaluate) -> Any:
    """A constant, or a bare word that stands for itself (``openai``)."""
    word = text.word(where.lo)
    if where.hi - where.lo == 1 and not text.tokens[where.lo].quoted and word.isidentifier():
        return {"TRUE": True, "FALSE": False, "NULL": None}.get(word, text.source(where))
    return constant(text, where, evaluate)


def options(text: Text, opening: int, evaluate: Evaluate) -> Options:
    """``(name value, name = value, …)`` from its opening parenthesis."""
    found = Options()
    for part in text.split(text.inside(opening)):
        if part.hi - part.lo < 2:
            raise expected(text, part.lo, "an option and its value, such as model 'gpt-4.1-mini'")
        key = text.source(Range(part.lo, part.lo + 1)).strip('"').lower()
        if key in found.values:
            raise ParseError(f"The option {key} is given twice.", place(text, part))
        value = Range(part.lo + 1 + (text.word(part.lo + 1) in _ASSIGNS), part.hi)
        found.values[key] = word_or_constant(text, value, evaluate)
        found.places[key] = place(text, part)
    return found


def arguments(text: Text, opening: int, evaluate: Evaluate) -> Arguments:
    """What a CALL is given."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    places: dict[str, Position] = {}
    for part in text.split(text.inside(opening)):
        if part and text.word(part.lo + 1) in _ASSIGNS:
            key = text.source(Range(part.lo, part.lo + 1)).strip('"').lower()
            named[key] = constant(text, Range(part.lo + 2, part.hi), evaluate)
            places[key] = place(text, part)
        else:
            positional.append(constant(text, part, evaluate))
            places[str(len(positional) - 1)] = place(text, part)
    return Arguments(tuple(positional), named, places)


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case _:
            return value
