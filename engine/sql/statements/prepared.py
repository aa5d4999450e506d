"""``PREPARE``, ``EXECUTE`` and ``DEALLOCATE``: DuckDB's own, unless the statement asks a model; then it is kept here as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...errors import ParseError
from ..parameters import inline
from ..tokens import Range, Text
from .grammar import end, name_at, place

Arguments = Sequence[str] | Mapping[str, str]
"""SQL of each argument, by position or by name."""

_STAND_IN = "SELECT error('This statement asked a model, and is gone: its name was given to another that could not be prepared.')"


class PreparedStatements:
    """The prepared statements of a session that ask a model.

    DuckDB knows them by a statement that stands in for them, so that ``DEALLOCATE`` and a second ``PREPARE`` are its business.

    Parameters
    ----------
    asks : whether a statement may ask a model. read : has DuckDB read a statement, and raises what it has against it.
    literal : the value of an expression, as SQL.
    """

    def __init__(self, asks: Callable[[str], bool], read: Callable[[str], None], literal: Callable[[str], str]) -> None:
        self._asks, self._read, self._literal = asks, read, literal
        self._texts: dict[str, str] = {}

    def resolved(self, text: Text) -> str:
        """What runs in the place of a statement of the family: for ``EXECUTE`` the statement prepared, with its arguments in it.

        Raises
        ------
        ParseError, ProgrammingError : an argument is missing, or one too many.
        """
        match text.word(0):
            case "PREPARE":
                return self._prepared(text)
            case "DEALLOCATE":
                return self._forgotten(text)
            case _:
                return self._executed(text)

    def _prepared(self, text: Text) -> str:
        name = name_at(text, 1, "a name")
        body = next((i + 1 for i in text.top(text.all()) if text.word(i) == "AS"), None)
        self._texts.pop(name.lower(), None)
        if body is None or not self._asks(text.sql):
            return text.sql
        self._read(text.sql)
        self._texts[name.lower()] = text.source(Range(body, len(text.tokens)))
        return f"PREPARE {text.source(Range(1, 2))} AS {_STAND_IN}"

    def _forgotten(self, text: Text) -> str:
        self._texts.pop(name_at(text, 1 + (text.word(1) == "PREPARE"), "a name").lower(), None)
        return text.sql

    def _executed(self, text: Text) -> str:
        at = next(i for i in text.top(text.all()) if text.word(i) == "EXECUTE")
        prepared = self._texts.get(name_at(text, at + 1, "a name").lower())
        if prepared is None:
            return text.sql
        before = f"{text.source(Range(0, at))} " if at else ""
        return before + inline(Text(prepared), _arguments(text, at + 2), self._value).sql

    def _value(self, expression: str) -> str:
        return f"({expression})" if self._asks(expression) else self._literal(expression)


def _arguments(text: Text, opening: int) -> Arguments:
    if text.word(opening) != "(":
        end(text, opening, "EXECUTE")
        return ()
    end(text, text.partner[opening] + 1, "EXECUTE")
    parts = text.split(text.inside(opening))
    named = [p for p in parts if text.word(p.lo + 1) in (":=", "=>")]
    if named and len(named) < len(parts):
        raise ParseError("EXECUTE takes its arguments either by position or by name.", place(text, named[0]))
    if not named:
        return [text.source(p) for p in parts]
    return {text.source(Range(p.lo, p.lo + 1)).strip('"'): text.source(Range(p.lo + 2, p.hi)) for p in named}
