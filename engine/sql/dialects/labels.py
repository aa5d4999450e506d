"""Lists of labels as other systems write them, as LLM_CLASSIFY takes them."""

from __future__ import annotations

import json
from typing import Any

from ..tokens import Range
from .parts import New, Parts, is_text, items, joined, literal, struct
from .spoken import Spoken


def labels(call: Spoken, where: Range) -> Parts:
    """The labels in ``where``: a list of texts, of ``('label', 'description')`` or of ``{'label': …, 'description': …}``,
    an object of descriptions, or JSON text of any of these."""
    if is_text(call.text, where):
        return (New(_json(call, where, json.loads), where),)
    found = items(call.text, where)
    if found is None:
        return (where,)
    pairs = [pair(call, item) for item in found]
    if all(description is None for _, description in pairs):
        return ("[", *joined([(label,) for label, _ in pairs]), "]")
    return struct({str(call.constant(label)): (description or "''",) for label, description in pairs})


def names(call: Spoken, where: Range) -> list[str]:
    """The labels of a list that must be a constant."""
    found = items(call.text, where)
    if not found:
        raise call.wrong(where, "must be a list: array('a', 'b')")
    return [str(call.constant(label)) for label, _ in (pair(call, item) for item in found)]


def has_structs(call: Spoken, where: Range) -> bool:
    """Whether the list holds objects such as ``{'label': …}``."""
    return any(call.text.word(item.lo) == "{" for item in items(call.text, where) or ())


def pair(call: Spoken, where: Range) -> tuple[Range, Range | None]:
    """What stands in a list as ``a``, ``('a', b)`` or ``{'label': 'a', 'description': b}``."""
    text = call.text
    if text.word(where.lo) == "{":
        fields = call.entries(where)
        if "label" not in fields:
            raise call.wrong(where, "needs a label: {'label': …, 'description': …}")
        return fields["label"], fields.get("description")
    if text.word(where.lo) == "(" and text.partner[where.lo] == where.hi - 1:
        parts = text.split(text.inside(where.lo))
        if len(parts) == 2:
            return parts[0], parts[1]
    return where, None


def _json(call: Spoken, where: Range, read: Any) -> str:
    try:
        found = read(call.constant(where))
    except ValueError:
        raise call.wrong(where, "must be a list of labels: ['a', 'b'], or JSON text of one") from None
    if isinstance(found, dict):
        return "{" + ", ".join(f"{literal(str(n))}: {literal(str(d))}" for n, d in found.items()) + "}"
    return "[" + ", ".join(literal(str(name)) for name in found) + "]"
