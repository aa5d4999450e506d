"""What a rewritten call is made of: the user's own words, and new ones; and how expressions come apart into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..tokens import Range, Text

Constant = Callable[[Range], Any]
"""The value of an expression without columns."""


@dataclass(frozen=True, slots=True)
class New:
    """Words of ours that stand for the user's in ``at``; an error about them points there."""

    text: str
    at: Range


Part = str | New | Range
"""New words (an error about them points at the whole call), new words with a place, or the user's own."""

Parts = tuple[Part, ...]


def literal(value: str) -> str:
    """A text as a SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def joined(parts: list[Parts], glue: str = ", ") -> Parts:
    """The parts with ``glue`` between them."""
    result: list[Part] = []
    for number, part in enumerate(parts):
        result += [glue, *part] if number else part
    return tuple(result)


def is_text(text: Text, where: Range) -> bool:
    """Whether the range is one string literal."""
    return where.hi - where.lo == 1 and text.tokens[where.lo].quoted and text.word(where.lo)[:1] != '"'


def call_of(text: Text, where: Range, *names: str) -> list[Range] | None:
    """The arguments, if the range is one call of any of these names."""
    opening = where.lo + 1
    if text.word(where.lo) in names and text.word(opening) == "(" and text.partner[opening] == where.hi - 1:
        return text.split(text.inside(opening))
    return None


def items(text: Text, where: Range) -> list[Range] | None:
    """The items of a list: ``[…]``, ``ARRAY[…]``, ``array(…)``, ``ARRAY_CONSTRUCT(…)``; ``None`` if it is none of these."""
    lo = where.lo + (text.word(where.lo) == "ARRAY")
    if text.word(lo) == "[" and text.partner[lo] == where.hi - 1:
        return text.split(text.inside(lo))
    return call_of(text, where, "ARRAY", "ARRAY_CONSTRUCT", "LIST_VALUE")


def entries(text: Text, where: Range, constant: Constant) -> dict[str, Range] | None:
    """The entries of ``{…}``, ``MAP {…}`` or of a call that takes keys and values in turn; ``None`` if it is none of these."""
    lo = where.lo + (text.word(where.lo) == "MAP" and text.word(where.lo + 1) == "{")
    if text.word(lo) == "{" and text.partner[lo] == where.hi - 1:
        pairs = [(part, text.word(part.lo + 1)) for part in text.split(text.inside(lo))]
        if any(colon != ":" for _, colon in pairs):
            return None
        return {_key(text, part.lo, constant): Range(part.lo + 2, part.hi) for part, _ in pairs}
    turns = call_of(text, where, "NAMED_STRUCT", "OBJECT_CONSTRUCT", "MAP")
    if turns is None or len(turns) % 2:
        return None
    return {str(constant(key)): value for key, value in zip(turns[::2], turns[1::2], strict=True)}


def _key(text: Text, index: int, constant: Constant) -> str:
    where = Range(index, index + 1)
    return str(constant(where)) if is_text(text, where) else text.source(where).strip('"')


def struct(fields: Mapping[str, Parts]) -> Parts:
    """``{'name': …, …}``."""
    return ("{", *joined([(f"{literal(name)}: ", *value) for name, value in fields.items()]), "}")
