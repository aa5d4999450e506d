"""Conditions of AND, OR and NOT over calls' answers, read from the text that a plan has of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb
from sqlglot import Token

from ..engine.errors import ParseError
from ..engine.plan.nodes import Column, Expr
from ..engine.sql.guards import split_logical
from ..engine.sql.tokens import Range, Text
from .expressions import may_fail, movable, tokens
from .ordering.trees import Junction, Leaf, Not, Tree


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENDS = _words(
    """, SELECT DISTINCT ALL FROM WHERE AS GROUP BY HAVING QUALIFY WINDOW ORDER LIMIT OFFSET WHEN THEN ELSE ON USING
    PARTITION FILTER"""
)
"""Words between which a condition may stand."""
_COMPARES = _words("= == <> != < > <= >= in between like ilike not and ( ) , -")
"""What compares an answer with literals: NULL if the answer is."""
_TESTS = _words("= == <> != < > <= >= in between like ilike is exists")
_LITERALS = {"VARCHAR": frozenset({"STRING"}), "DOUBLE": frozenset({"NUMBER"}), "FLOAT": frozenset({"NUMBER"})}
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A condition. ``leaves`` : the texts of its leaves, by the number that each has in the ``tree``."""

    tree: Tree
    leaves: tuple[str, ...]


def parsed(sql: str) -> Parsed:
    """The condition that a text is.

    >>> parsed("NOT (__s1 OR __s2 = 'x')").leaves
    ('__s1', "__s2 = 'x'")
    """
    text, leaves = Text(sql), list[str]()
    return Parsed(_tree(text, text.all(), leaves), tuple(leaves))


def conditions_in(sql: str) -> Iterator[str]:
    """The texts of all conditions in a text that are part of no larger one.

    >>> list(conditions_in("SELECT a, CASE WHEN b OR c THEN (NOT d AND e) = f END AS g FROM t"))
    ['b OR c', 'NOT d AND e']
    """
    try:
        text = Text(sql)
    except ParseError:
        return
    yield from _conditions(text, text.all())


def columns_of(sql: str) -> frozenset[str]:
    """Plan columns in a text."""
    words = (token.text for token in tokens(sql) if token.token_type.name in ("VAR", "IDENTIFIER"))
    return frozenset(word for word in words if re.fullmatch(r"__[a-z]+\d+", word))


def compares(leaf: str, answer: Column) -> bool:
    """Whether a leaf is an answer, or compares it with literals: NULL for NULL, and never an error.

    >>> compares("__s1 IN ('a', 'b')", Column("__s1", "VARCHAR", "")), compares("__s1 IS NULL", Column("__s1", "VARCHAR", ""))
    (True, False)
    """
    words = tokens(leaf)
    names = [token.text for token in words if token.text == answer.name]
    if len(names) != 1:
        return False
    if len(words) == 1:
        return answer.type == "BOOLEAN"
    allowed = frozenset({"NUMBER"}) if answer.type in _INTEGERS else _LITERALS.get(answer.type, frozenset())
    known = (t.text == answer.name or t.token_type.name in allowed or t.text.lower() in _COMPARES for t in words)
    return bool(allowed) and all(known) and _stands_alone(leaf)


def known_before(leaf: str, columns: Mapping[str, str]) -> bool:
    """Whether a leaf has a BOOLEAN value for every row, whenever it is computed. ``columns`` : their types."""
    if leaf in columns:
        return columns[leaf] == "BOOLEAN"
    words = tokens(leaf)
    names = [t.text for t, after in zip(words, (*words[1:], None), strict=True) if _is_column(t, after)]
    expr = Expr(leaf, frozenset(names), "")
    tested = any(token.text.lower() in _TESTS for token in words)
    return tested and expr.uses <= set(columns) and harmless(expr, columns) and _stands_alone(leaf)


def harmless(expr: Expr, columns: Mapping[str, str]) -> bool:
    """Whether an expression may be computed for other rows than those it was written for."""
    return movable(expr) and not may_fail(expr, columns)


def without(parts: str, columns: frozenset[str]) -> str:
    """The parts of a conjunction that read none of the columns; "": all do.

    >>> without("(__c1 = 2) AND ((__s2) IS NOT TRUE)", frozenset({"__s2"}))
    '(__c1 = 2)'
    """
    text = Text(parts)
    kept = [text.source(part) for part in split_logical(text, text.all(), "AND")]
    return " AND ".join(part for part in kept if not columns_of(part) & columns)


def joined(conditions: Sequence[Expr]) -> Expr:
    """Their conjunction. Labels need no brackets: they are parts of a user's conjunction."""
    if len(conditions) == 1:
        return conditions[0]
    sql, label = " AND ".join(f"({c.sql})" for c in conditions), " AND ".join(c.label for c in conditions)
    return Expr(sql, frozenset[str]().union(*(c.uses for c in conditions)), label)


def _tree(text: Text, where: Range, leaves: list[str]) -> Tree:
    where = text.unwrap(where)
    parts, connective = _parts(text, where)
    if connective is not None:
        return Junction(connective, tuple(_tree(text, part, leaves) for part in parts))
    if text.word(where.lo) == "NOT":
        return Not(_tree(text, Range(where.lo + 1, where.hi), leaves))
    leaves.append(text.source(where))
    return Leaf(len(leaves) - 1)


def _parts(text: Text, where: Range) -> tuple[list[Range], Literal["and", "or"] | None]:
    connectives: tuple[Literal["or", "and"], ...] = ("or", "and")
    for connective in connectives:
        parts = split_logical(text, where, connective.upper())
        if len(parts) > 1 and all(parts):
            return parts, connective
    return [where], None


def _conditions(text: Text, where: Range) -> Iterator[str]:
    for piece in text.cut(where, [i for i in text.top(where) if not text.tokens[i].quoted and text.word(i) in _ENDS]):
        if not piece:
            continue
        if (inner := text.unwrap(piece)) != piece:
            yield from _conditions(text, inner)
            continue
        if _parts(text, piece)[1] is not None:
            yield text.source(piece)
            continue
        for index in text.top(piece):
            if text.partner.get(index, -1) > index:
                yield from _conditions(text, text.inside(index))


def _is_column(token: Token, after: Token | None) -> bool:
    calls = after is not None and after.text == "("
    return token.token_type.name in ("VAR", "IDENTIFIER") and not calls


def _stands_alone(sql: str) -> bool:
    """Whether it is one expression, and nothing more."""
    try:
        return len(duckdb.extract_statements(f"SELECT ({sql})")) == 1
    except duckdb.Error:
        return False
