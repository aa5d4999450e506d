"""What a column is called that holds only a call of a dialect: as ADR 6 has it, but after the user's words."""

from __future__ import annotations

from ..tokens import Range, Text

_CLAUSES = frozenset(
    [
        "FROM",
        "WHERE",
        "GROUP",
        "BY",
        "HAVING",
        "ORDER",
        "QUALIFY",
        "LIMIT",
        "OFFSET",
        "VALUES",
        "ON",
        "USING",
        "WINDOW",
        "SET",
        "RETURNING",
        "UNION",
        "EXCEPT",
        "INTERSECT",
    ]
)
_ENDS = _CLAUSES | {"", ",", ")", ";"}


def item_name(text: Text, whole: Range, name: str) -> tuple[str, int] | None:
    """The name of the select item that a call is, and where the item ends; ``None`` if it is not all of one.

    ``AI.IF(…)`` is called ``ai_if``, and ``AI.GENERATE(…).result`` is called ``result``.
    """
    end, called = whole.hi, name.lower().replace(".", "_")
    while text.word(end) == "." and end + 1 < len(text.tokens):
        called = text.source(Range(end + 1, end + 2)).strip('"')
        end += 2
    ended = text.word(end).split(" ")[0] in _ENDS
    return (called, end) if ended and _begins_item(text, whole.lo) else None


def _begins_item(text: Text, start: int) -> bool:
    if text.word(start - 1) not in ("SELECT", "DISTINCT", "ALL", ","):
        return False
    openings = {closing: opening for opening, closing in text.partner.items()}
    index = start - 1
    while index >= 0:
        word = text.word(index)
        if word == "SELECT":
            return True
        if word.split(" ")[0] in _CLAUSES or index in text.partner:
            return False
        index = openings.get(index, index) - 1
    return False
