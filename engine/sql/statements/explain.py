"""``EXPLAIN [ANALYZE] query``."""

from __future__ import annotations

from dataclasses import dataclass

from ..tokens import Range, Text


@dataclass(frozen=True, slots=True)
class Explain:
    """``EXPLAIN [ANALYZE] query``; ``form`` is ``text`` or ``json``."""

    query: str
    analyze: bool
    form: str


def parse_explain(text: Text) -> Explain | None:
    """The query to explain, and how."""
    if text.word(0) != "EXPLAIN":
        return None
    at, analyze, form = 1, False, "text"
    if text.word(at) == "ANALYZE":
        at, analyze = at + 1, True
    elif text.word(at) == "(":
        words = {text.word(i) for i in range(at, text.partner[at])}
        analyze, form = "ANALYZE" in words, "json" if "JSON" in words else "text"
        at = text.partner[at] + 1
    if at >= len(text.tokens):
        return None
    return Explain(text.source(Range(at, len(text.tokens))), analyze, form)
