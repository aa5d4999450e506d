"""A script cut into statements, and a quick look at what one may be."""

from __future__ import annotations

import re

from ..tokens import Text

_BLANK = r"(?>\s+|--[^\n]*|/\*.*?\*/)*+"  # atomic: a script may begin with many comments
_OURS = re.compile(
    rf"{_BLANK}(?:CREATE|ALTER|DROP|SHOW){_BLANK}(?:OR{_BLANK}REPLACE{_BLANK})?(?:MODELS?|PROMPTS?|PROX(?:Y|IES))\b"
    rf"|{_BLANK}(?:DROP|COMPACT){_BLANK}ANSWERS\b|{_BLANK}PROFILE\b|{_BLANK}SHOW{_BLANK}FRONTIER\b",
    re.IGNORECASE | re.DOTALL,
)
_SECRET = re.compile(
    rf"{_BLANK}(?:CREATE|ALTER|DROP){_BLANK}(?:OR{_BLANK}REPLACE{_BLANK})?(?:PERSISTENT{_BLANK}|TEMP(?:ORARY)?{_BLANK})?SECRET\b",
    re.IGNORECASE | re.DOTALL,
)

_PREPARED = re.compile(
    rf"{_BLANK}(?:PREPARE\b|DEALLOCATE\b|(?:EXPLAIN{_BLANK}(?:ANALYZE\b|\([^)]*\))?{_BLANK})?EXECUTE\b)",
    re.IGNORECASE | re.DOTALL,
)


def split_statements(sql: str) -> list[str]:
    """The statements of a script, verbatim, without their semicolons; pieces that are only comments are left out.

    >>> split_statements("SELECT ';'; -- done")
    ["SELECT ';'"]
    """
    text = Text(sql)
    parts = text.split(text.all(), (";",))
    return [text.source(p) for p in parts if p]


def names_catalogue(sql: str) -> bool:
    """Whether a statement is about models, prompts, proxies, answers or plans, by its first words.

    >>> names_catalogue("/* once */ create or replace model m (…)"), names_catalogue("CREATE TABLE model (a INT)")
    (True, False)
    """
    return _OURS.match(sql) is not None


def names_prepared(sql: str) -> bool:
    """Whether a statement makes, runs or drops a prepared one, by its first words.

    >>> names_prepared("EXPLAIN ANALYZE EXECUTE p(1)"), names_prepared("SELECT 'PREPARE'")
    (True, False)
    """
    return _PREPARED.match(sql) is not None


def names_secret(sql: str) -> bool:
    """Whether a statement is about DuckDB's secrets: it is not even looked into.

    >>> names_secret("CREATE PERSISTENT SECRET llm_key (TYPE http)"), names_secret("SELECT secret")
    (True, False)
    """
    return _SECRET.match(sql) is not None
