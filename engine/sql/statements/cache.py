"""``DROP ANSWERS`` and ``COMPACT ANSWERS``: the store's answers forgotten, and their space given back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ...errors import ParseError, Position
from ..tokens import Range, Text
from .grammar import Evaluate, Options, end, options, place

FORM = "DROP ANSWERS (model 'small', function 'LLM_FILTER', older_than INTERVAL 7 DAY), each of them optional"


@dataclass(frozen=True, slots=True)
class DropAnswers:
    """``DROP ANSWERS [(model m, function f, older_than INTERVAL …)]``: those that fit all that is given; all without it."""

    model: str | None = None
    function: str | None = None
    older_than_s: float | None = None
    place: Position | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CompactAnswers:
    """``COMPACT ANSWERS``."""


CacheStatement = DropAnswers | CompactAnswers


def parse_cache(text: Text, evaluate: Evaluate) -> CacheStatement | None:
    """A statement about answers; ``None``: it is none."""
    match text.word(0), text.word(1):
        case "COMPACT", "ANSWERS":
            end(text, 2, "COMPACT ANSWERS")
            return CompactAnswers()
        case "DROP", "ANSWERS":
            return _drop(text, evaluate)
    return None


def drop_answers(given: dict[str, Any], where: Position | None) -> DropAnswers | None:
    """The statement for some named values; ``None``: one of them is unknown or unfit."""
    older = given.get("older_than")
    model, function = given.get("model"), given.get("function")
    fit = all(name is None or isinstance(name, str) for name in (model, function)) and isinstance(
        older, timedelta | None
    )
    if not fit or not given.keys() <= {"model", "function", "older_than"}:
        return None
    return DropAnswers(model, function, None if older is None else older.total_seconds(), where)


def _drop(text: Text, evaluate: Evaluate) -> DropAnswers:
    given, after = Options(), 2
    if text.word(2) == "(":
        given, after = options(text, 2, evaluate), text.partner[2] + 1
    end(text, after, FORM)
    whole = place(text, Range(0, len(text.tokens)))
    found = drop_answers(given.values, given.places.get("function"))
    if found is None:
        raise ParseError(f"Expected {FORM}.", whole)
    return found
