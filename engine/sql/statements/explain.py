"""``EXPLAIN [ANALYZE] query``."""

from __future__ import annotations

from dataclasses import dataclass

from ..tokens import Range, Text

_ANALYZE = ("ANALYZE", "ANALYSE")
_OPTIONS = (*_ANALYZE, "FORMAT")
"""What begins a list of options; the parentheses may be a query's, too."""


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
    if text.word(at) in _ANALYZE:
        at, analyze = at + 1, True
    if text.word(at) == "(" and text.word(at + 1) in _OPTIONS:
        words = {text.word(i).strip("'").upper() for i in range(at, text.partner[at])}
        analyze, form = analyze or not words.isdisjoint(_ANALYZE), "json" if "JSON" in words else "text"
        at = text.partner[at] + 1
    if at >= len(text.tokens):
        return None
    return Explain(text.source(Range(at, len(text.tokens))), analyze, form)
