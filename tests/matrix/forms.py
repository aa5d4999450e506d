"""What calls look like: per function a call as a value, and a condition made of it; and how they are put into a position's SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping

SCALARS = {
    "LLM_FILTER": ("LLM_FILTER('is it so', {x})", "{v}"),
    "LLM_CLASSIFY": ("LLM_CLASSIFY({x}, ['red', 'green', 'blue'])", "{v} = 'green'"),
    "LLM_SCORE": ("LLM_SCORE('is it so', {x})", "{v} > 0.5"),
    "LLM_COMPLETE": ("LLM_COMPLETE('say', {x})", "{v} < 'text 5'"),
    "LLM_EXTRACT": ("LLM_EXTRACT({x}, {{a: 'VARCHAR', b: 'INTEGER'}})", "({v}).b > 3"),
    "LLM_EMBED": ("LLM_EMBED({x})", "({v})[1] > 0"),
    "LLM_SENTIMENT": ("LLM_SENTIMENT({x})", "{v} = 'positive'"),
    "LLM_TRANSLATE": ("LLM_TRANSLATE({x}, 'French')", "{v} < 'text 5'"),
    "LLM_FIX_GRAMMAR": ("LLM_FIX_GRAMMAR({x})", "{v} < 'text 5'"),
    "LLM_REDACT": ("LLM_REDACT({x})", "{v} < 'm'"),
    "LLM_RERANK": ("LLM_RERANK('red things', {x})", "{v} > 0.5"),
    "LLM_SIMILARITY": ("LLM_SIMILARITY({x}, 'sky')", "{v} > 0"),
    "LLM_SPLIT": ("LLM_SPLIT({x}, 'words')", "len({v}) > 2"),
    "LLM_EXTRACT_TABLE": ("LLM_EXTRACT_TABLE({x}, {{a: 'VARCHAR', b: 'INTEGER'}})", "len({v}) > 1"),
}
AGGREGATES = {
    "LLM_AGG": ("LLM_AGG({x}, 'say'{order})", "{v} < 'text 5'"),
    "LLM_AGG typed": ("LLM_AGG({x}, 'say', returns := 'INTEGER'{order})", "{v} > 3"),
    "LLM_SUMMARIZE": ("LLM_SUMMARIZE({x}{order})", "{v} < 'text 5'"),
}
TO_MANY = ("LLM_SPLIT", "LLM_EXTRACT_TABLE")
ASKS_NOBODY = {"LLM_COUNT_TOKENS"}
BLANK_STAYS_BLANK = {"LLM_TRANSLATE", "LLM_FIX_GRAMMAR", "LLM_REDACT", *TO_MANY}

_HOLE = re.compile(r"\{([vb])(?::([^}|]*))?(?:\|([^}]*))?\}")


def filled(sql: str, form: tuple[str, str]) -> list[str]:
    """The statements of a position with the call in its holes.

    ``{v}`` is a call as a value, ``{b}`` one as a condition, both over the expression after the colon (``body`` if there is
    none); what follows ``|`` is an aggregate's ORDER BY.
    """
    value, condition = form

    def fill(hole: re.Match[str]) -> str:
        call = value.format(x=hole[2] or "body", order=f" ORDER BY {hole[3]}" if hole[3] else "")
        return call if hole[1] == "v" else f"({condition.format(v=call)})"

    return _HOLE.sub(fill, sql).split("; ")


def all_values(forms: Mapping[str, tuple[str, str]], expression: str) -> str:
    """Every function's call over one expression, as select items."""
    return ", ".join(value.format(x=expression, order="") for value, _ in forms.values())
