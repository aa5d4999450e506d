"""``TRY(LLM_…(…))``: a row's failure is NULL, whatever ``llm_on_error`` says.

DuckDB's TRY cannot do it alone: the call is answered outside DuckDB, before TRY sees a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .locate import LocatedCall
from .tokens import Range, Text


def with_try(text: Text, located: LocatedCall, options: Mapping[str, Any]) -> dict[str, Any]:
    """The call's options: within TRY, ``on_error`` is ``'null'`` unless the call itself asks for ``'details'``."""
    own = "on_error" in located.options and options["on_error"] == "details"
    return {**options, "on_error": "null"} if not own and _is_tried(text, located.whole.lo) else dict(options)


def lone_try(text: Text, where: Range) -> Range | None:
    """The word TRY of ``TRY(call)``: it has no work left, and DuckDB allows no function with side effects under it."""
    enclosed = text.word(where.lo - 1) == "(" and text.partner.get(where.lo - 1) == where.hi
    return Range(where.lo - 2, where.lo - 1) if enclosed and text.word(where.lo - 2) == "TRY" else None


def _is_tried(text: Text, index: int) -> bool:
    return any(
        opening < index < closing and text.word(opening) == "(" and text.word(opening - 1) == "TRY"
        for opening, closing in text.partner.items()
    )
