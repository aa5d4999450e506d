"""DuckDB's own statements about secrets, known only so that no error repeats what stands in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...errors import ParseError
from ..tokens import Text


@dataclass(frozen=True, slots=True)
class SecretStatement:
    """``CREATE SECRET …`` or ``DROP SECRET …``, verbatim."""

    sql: str = field(repr=False)


def without_strings(message: str, sql: str) -> str:
    """DuckDB's words about a statement, without its picture of it and without what the statement's strings hold.

    >>> without_strings("Could not convert 'k-e-y' to BOOL\\n\\nLINE 1: CREATE …", "CREATE SECRET s (VERIFY_SSL 'k-e-y')")
    "Could not convert '***' to BOOL"
    """
    words = re.split(r"\n+LINE [0-9]+:", message)[0]
    try:
        strings = [token.word[1:-1] for token in Text(sql).tokens if token.quoted and token.word[:1] != '"']
    except ParseError:  # a quote is not closed: nobody knows where the string ends
        return words.partition(":")[0] + ": a quote, a comment or a bracket is not closed."
    for string in sorted(filter(None, strings), key=len, reverse=True):
        words = words.replace(string, "***").replace(string.replace("''", "'"), "***")
    return words
