"""Prepared-statement parameters in a statement that is going to be taken apart: each becomes a literal of its own type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Position, ProgrammingError
from .splice import Splice
from .tokens import Range, Text


@dataclass(frozen=True, slots=True)
class Inlined:
    """A statement with its values in it, and the way back to the user's text."""

    text: Text
    splice: Splice

    @property
    def sql(self) -> str:
        """The statement with literals in the place of parameters."""
        return self.splice.render(self.text.all())[0]

    def about_original(self, error: ProgrammingError) -> ProgrammingError:
        """The same error, about the text that the user wrote; no value shows in its picture."""
        if error.position is None:
            return error
        start, end = (self.splice.origin(self.text.all(), o) for o in (error.position.start, error.position.end))
        return error.at(Position(self.text.sql, start, max(end, start + 1)))


def inline(text: Text, parameters: Sequence[Any] | Mapping[str, Any], literal: Callable[[Any], str]) -> Inlined:
    """The statement with ``?``, ``$1`` and ``$name`` replaced.

    Parameters
    ----------
    literal : SQL text of a Python value, made by DuckDB itself.

    Raises
    ------
    ProgrammingError : a parameter has no value, or a value no parameter.
    """
    splice, used, count = Splice(text), set(), 0
    for index in range(len(text.tokens)):
        if text.word(index) == "?":
            key, where = count, Range(index, index + 1)
            count += 1
        elif text.word(index) == "$" and index + 1 < len(text.tokens):
            name = text.source(Range(index + 1, index + 2))
            key, where = (int(name) - 1 if name.isdigit() else name), Range(index, index + 2)  # type: ignore[assignment]
        else:
            continue
        splice.replace(where, f" {literal(_value(parameters, key, text, where))} ")
        used.add(key)
    if len(used) != len(parameters):
        raise ProgrammingError(f"{len(parameters)} parameters are given, but the statement has {len(used)}.")
    return Inlined(text, splice)


def _value(parameters: Sequence[Any] | Mapping[str, Any], key: int | str, text: Text, where: Range) -> Any:
    try:
        return parameters[key]  # type: ignore[index]
    except (LookupError, TypeError):
        shown = f"${key}" if isinstance(key, str) else f"number {key + 1}"
        raise ProgrammingError(f"Parameter {shown} has no value.", Position(text.sql, *text.span(where))) from None
