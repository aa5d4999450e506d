"""``llm_calls()`` and the other system tables, wherever they stand in a statement."""

from __future__ import annotations

from collections.abc import Callable

from ..splice import Splice
from ..tokens import Range, Text

TABLE_FUNCTIONS = (
    "LLM_MODELS", "LLM_PROMPTS", "LLM_CALLS", "LLM_USAGE", "LLM_ERRORS", "LLM_SETTINGS", "LLM_FUNCTIONS",
    "LLM_STAGE_TRACE",
    "LLM_STATISTICS", "LLM_FRONTIER", "LLM_ESTIMATES", "LLM_CERTIFICATES",
)  # fmt: skip


def with_table_functions(text: Text, relation: Callable[[str], str]) -> str | None:
    """The statement with ``llm_calls()`` and the like replaced by relations; ``None`` if it has none."""
    splice, found = Splice(text), False
    for index in range(len(text.tokens)):
        if text.word(index) in TABLE_FUNCTIONS and text.word(index + 1) == "(" and text.word(index + 2) == ")":
            splice.replace(Range(index, index + 3), relation(text.word(index).lower()))
            found = True
    return splice.render(text.all())[0] if found else None
