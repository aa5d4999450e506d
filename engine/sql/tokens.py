"""Tokens of a statement, with their brackets matched. Ranges are half-open token indices ``[lo, hi)``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import sqlglot
from sqlglot import TokenType
from sqlglot.errors import SqlglotError

from ..errors import ParseError

_OPEN = {"(": ")", "[": "]", "{": "}", "CASE": "END"}
_CLOSE = frozenset(_OPEN.values())


@dataclass(frozen=True, slots=True)
class Token:
    """``word`` is upper case unless the token is quoted; ``start``/``end`` are character offsets, end exclusive."""

    word: str
    quoted: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Range:
    """A run of tokens of one statement."""

    lo: int
    hi: int

    def __bool__(self) -> bool:
        return self.hi > self.lo


NOTHING = Range(0, 0)
"""The range of what is not there."""


class Text:
    """A statement and its tokens.

    Raises
    ------
    ParseError : a string or comment is not closed, or brackets do not match.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        try:
            self.tokens = list(_tokenize(sql))
        except SqlglotError as error:
            raise ParseError(f"The statement cannot be read: {error}") from None
        self.partner = _match(self.tokens)

    def all(self) -> Range:
        """Every token."""
        return Range(0, len(self.tokens))

    def word(self, index: int) -> str:
        """The token's upper-case word; "" outside the statement."""
        return self.tokens[index].word if 0 <= index < len(self.tokens) else ""

    def span(self, where: Range) -> tuple[int, int]:
        """Character offsets of a range."""
        return self.tokens[where.lo].start, self.tokens[where.hi - 1].end

    def source(self, where: Range) -> str:
        """The user's own words."""
        start, end = self.span(where)
        return self.sql[start:end]

    def top(self, where: Range) -> Iterator[int]:
        """Indices of the tokens outside any bracket of the range; an opening bracket is yielded, what it holds is not."""
        index = where.lo
        while index < where.hi:
            yield index
            index = self.partner.get(index, index) + 1

    def inside(self, opening: int) -> Range:
        """What stands between a bracket and its partner."""
        return Range(opening + 1, self.partner[opening])

    def split(self, where: Range, separators: Iterable[str] = (",",)) -> list[Range]:
        """Cut at separators outside brackets; an empty range gives no parts, and what a last separator ends is the last one."""
        cuts = set(separators)
        parts = self.cut(where, [i for i in self.top(where) if self.word(i) in cuts])
        return parts[:-1] if len(parts) > 1 and not parts[-1] else parts

    def cut(self, where: Range, at: list[int]) -> list[Range]:
        """Cut at the given tokens, leaving these out."""
        if not where:
            return []
        edges = [where.lo - 1, *at, where.hi]
        return [Range(a + 1, b) for a, b in pairwise(edges)]

    def unwrap(self, where: Range) -> Range:
        """The range without parentheses that enclose all of it."""
        while where and self.word(where.lo) == "(" and self.partner.get(where.lo) == where.hi - 1:
            where = self.inside(where.lo)
        return where


_COMMANDS = frozenset({TokenType.COMMAND, TokenType.EXECUTE, TokenType.FETCH, TokenType.SHOW, TokenType.RENAME})
_LEAD = "SELECT "
# A named parameter. sqlglot takes "$a,$" for the start of a string; of "?a" it makes the same tokens.
_NAMED = re.compile(r"(?<![$\w])\$(?=\w+(?![\w$]))")


@lru_cache(maxsize=4)
def _tokenize(sql: str) -> tuple[Token, ...]:
    """All tokens, which one statement asks for several times. sqlglot swallows what follows EXPLAIN, CALL and the like at a statement's start as one string, up to the
    next semicolon even inside quotes; with a word before it, it does not."""
    tokens: list[Token] = []
    offset, read = 0, _NAMED.sub("?", sql)
    while offset < len(sql):
        shift = offset - len(_LEAD)
        raw = sqlglot.tokenize(_LEAD + read[offset:], dialect="duckdb")[1:]
        offset = len(sql)
        for index, token in enumerate(raw):
            if token.token_type in _COMMANDS and index and raw[index - 1].token_type == TokenType.SEMICOLON:
                offset = token.start + shift
                break
            tokens += _tokens(sql, token.start + shift, token.end + 1 + shift)
    return tuple(tokens)


def _tokens(sql: str, start: int, end: int) -> list[Token]:
    """What sqlglot takes for one token: of ``?::`` and ``??``, each parameter is one by itself."""
    if sql[start:end] in ("?::", "??"):
        return [_token(sql, start, start + 1), _token(sql, start + 1, end)]
    return [_token(sql, start, end)]


def _token(sql: str, start: int, end: int) -> Token:
    text = sql[start:end]
    quoted = text[:1] in ("'", '"', "$") or text[:2].lower() in ("e'", "x'", "b'")
    return Token(text if quoted else " ".join(text.upper().split()), quoted, start, end)


def _match(tokens: list[Token]) -> dict[int, int]:
    partner: dict[int, int] = {}
    stack: list[int] = []
    for index, token in enumerate(tokens):
        if token.quoted:
            continue
        if token.word in _OPEN:
            stack.append(index)
        elif token.word in _CLOSE and stack and _OPEN[tokens[stack[-1]].word] == token.word:
            partner[stack.pop()] = index
        elif token.word in (")", "]", "}"):
            raise ParseError(f"Unmatched {token.word} at character {token.start + 1}.")
    if stack:
        opening = tokens[stack[-1]]
        raise ParseError(f"{opening.word} at character {opening.start + 1} is never closed.")
    return partner
