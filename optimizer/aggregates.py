"""Aggregates by their text: which one, of what, of which rows. In doubt it is none that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlglot import Token

from .expressions import tokens

_NAMES: dict[str, Literal["count", "count_if", "sum", "avg"]] = {
    "count": "count",
    "count_if": "count_if",
    "countif": "count_if",
    "sum": "sum",
    "avg": "avg",
    "mean": "avg",
}
_UNKNOWN = frozenset({"DISTINCT", "ORDER", "SELECT", "FROM", "OVER", "LIMIT"})
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``sum(argument) FILTER (WHERE condition)``.

    Parameters
    ----------
    argument : ``*`` of ``count(*)``. condition : "": none.
    """

    name: Literal["count", "count_if", "sum", "avg"]
    argument: str
    condition: str = ""

    @property
    def present(self) -> str:
        """Whether a row counts."""
        own = "TRUE" if self.argument == "*" else f"({self.argument}) IS NOT NULL"
        own = f"({self.argument}) IS TRUE" if self.name == "count_if" else own
        return f"{own} AND ({self.condition}) IS TRUE" if self.condition else own


def aggregate_of(sql: str) -> Aggregate | None:
    """The aggregate that a text is, if it is nothing else.

    >>> aggregate_of("sum(__c1 + 1) FILTER (WHERE __s1)")
    Aggregate(name='sum', argument='__c1 + 1', condition='__s1')
    >>> aggregate_of("count()").present, aggregate_of("count(DISTINCT __c1)"), aggregate_of("count(*) + 1")
    ('TRUE', None, None)
    """
    words = tokens(sql)
    if len(words) < 3 or words[0].text.lower() not in _NAMES or words[1].text != "(":
        return None
    if any(word.token_type.name in _UNKNOWN or word.text.upper() in _UNKNOWN for word in words):
        return None
    end = _partner(words, 1)
    argument = _between(sql, words[1], words[end]) or "*"
    condition = _condition(sql, words[end + 1 :])
    if condition is None or len(split(argument)) != 1:
        return None
    return Aggregate(_NAMES[words[0].text.lower()], argument, condition)


def split(sql: str) -> list[str]:
    """The parts of a list of expressions.

    >>> split("f(a, b), [c, d], e")
    ['f(a, b)', '[c, d]', 'e']
    """
    parts, start, depth = [], 0, 0
    for word in tokens(sql):
        depth += (word.text in _OPEN and not _quoted(word)) - (word.text in _CLOSE and not _quoted(word))
        if word.text == "," and depth == 0 and not _quoted(word):
            parts.append(sql[start : word.start].strip())
            start = word.end + 1
    return [*parts, sql[start:].strip()]


def _condition(sql: str, words: tuple[Token, ...]) -> str | None:
    """What stands in FILTER; "": there is none, ``None``: something else follows."""
    if not words:
        return ""
    if len(words) < 4 or words[0].text.upper() != "FILTER" or words[1].text != "(":
        return None
    first = words[2] if words[2].text.upper() == "WHERE" else words[1]
    return _between(sql, first, words[-1]) if _partner(words, 1) == len(words) - 1 else None


def _partner(words: tuple[Token, ...], at: int) -> int:
    depth = 0
    for index in range(at, len(words)):
        depth += (words[index].text == "(" and not _quoted(words[index])) - (
            words[index].text == ")" and not _quoted(words[index])
        )
        if depth == 0:
            return index
    return len(words) - 1


def _between(sql: str, first: Token, last: Token) -> str:
    return sql[first.end + 1 : last.start].strip()


def _quoted(word: Token) -> bool:
    return word.token_type.name in ("STRING", "IDENTIFIER")
