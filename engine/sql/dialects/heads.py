"""Where a call can begin: ``prompt (`` is one after SELECT, and none after ``INSERT INTO`` or ``FROM t``."""

from __future__ import annotations

from ..tokens import Text

# After a word that is not one of these stands a name of something: of a table, of an alias, of a CTE.
_BEFORE = frozenset(
    [
        "SELECT",
        "ALL",
        "DISTINCT",
        "WHERE",
        "AND",
        "OR",
        "NOT",
        "ON",
        "HAVING",
        "QUALIFY",
        "BY",
        "WHEN",
        "THEN",
        "ELSE",
        "CASE",
        "IN",
        "LIKE",
        "ILIKE",
        "BETWEEN",
        "IS",
        "RETURNING",
        "VALUES",
        "LIMIT",
        "OFFSET",
        "FILTER",
        "ANY",
        "SOME",
        "GLOB",
        "SIMILAR",
        "TO",
        "ESCAPE",
        "COLLATE",
        "INTERVAL",
    ]
)
_FUNCTIONS_WITH_FROM = frozenset({"EXTRACT", "SUBSTRING", "TRIM", "OVERLAY"})


def begins_call(text: Text, index: int, opening: int) -> bool:
    """Whether the name at ``index``, with a parenthesis at ``opening``, is called there as a scalar or aggregate function."""
    if index == 0 or (text.word(0) == "CREATE" and "INDEX" in (text.word(1), text.word(2))):
        return False
    before = text.tokens[index - 1]
    last = before.word.split()[-1] if before.word else ""
    if before.quoted or last in ("]", "}", "."):
        return False
    if last == ")":
        return _after_distinct_on(text, index - 1)
    if last == "FROM":
        return text.word(index - 2) == "DISTINCT" or _inside(text, index) in _FUNCTIONS_WITH_FROM
    if last == "AS":
        return text.word(0) == "CREATE"
    if last == "," and _declares(text, opening):
        return False
    return not (last[0].isalpha() or last[0] in "_0123456789") or last in _BEFORE


def _after_distinct_on(text: Text, closing: int) -> bool:
    opening = next(o for o, c in text.partner.items() if c == closing)
    return text.word(opening - 1) == "ON" and text.word(opening - 2) == "DISTINCT"


def _declares(text: Text, opening: int) -> bool:
    """``…, name(a) AS (SELECT …)``: a further CTE."""
    after = text.partner[opening] + 1
    return text.word(after) == "AS" and text.word(after + 1) in ("(", "MATERIALIZED", "NOT")


def _inside(text: Text, index: int) -> str:
    """The name before the bracket that holds the token."""
    for opening, closing in text.partner.items():
        if opening < index < closing and text.word(opening - 1) in _FUNCTIONS_WITH_FROM:
            return text.word(opening - 1)
    return ""
