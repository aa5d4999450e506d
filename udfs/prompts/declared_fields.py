"""Fields that a user declares, ``{name: 'TYPE -- what it is'}`` or ``'STRUCT(…)'``: their type, and words for them in a prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...engine.types import SqlType, parse_type, struct_of
from .typed_answer import type_words


def fields_type(declared: Any, function: str) -> SqlType:
    """The STRUCT that is declared.

    Parameters
    ----------
    function : whose declaration it is, for messages.

    Raises
    ------
    ValueError : it declares nothing, or names a type that does not exist; the message names the field.

    >>> fields_type({"name": "text -- of the buyer", "tags": ["VARCHAR"]}, "LLM_EXTRACT").text
    'STRUCT("name" VARCHAR, tags VARCHAR[])'
    """
    if isinstance(declared, str):
        sql_type = parse_type(declared)
        if sql_type.kind != "struct":
            raise ValueError(f"{function} gives a STRUCT, not {sql_type}; name the field: {{answer: '{declared}'}}.")
        return sql_type
    if not isinstance(declared, dict) or not declared:
        raise ValueError(f"{function} needs its fields: {{name: 'VARCHAR', amount: 'DECIMAL(9,2)'}} or 'STRUCT(…)'.")
    return _field_type(declared, "")


def field_lines(sql_type: SqlType, declared: Any) -> str:
    """A line of the prompt per field: its type in words, and what the user says that it is."""
    described = _descriptions(declared)
    # "or null" on every line, and the empty answer spelt out, are what keeps small models from inventing values:
    # on five short letters the 0.5B default model made up 1 value of 10 unstated ones, and all 10 without them
    lines = [f"- {name}: {type_words(kind)} or null{_about(described, name)}" for name, kind in sql_type.fields]
    lines += [f"- {path}{_about(described, path)}" for path in described if path not in dict(sql_type.fields)]
    return "\n".join(lines)


def _about(described: Mapping[str, str], path: str) -> str:
    return f" ({described[path]})" if path in described else ""


def _parted(text: str) -> tuple[str, str]:
    """``'TYPE -- description'``; two dashes inside quotes belong to the type."""
    dashes = next((m.start() for m in re.finditer("--", text) if text.count("'", 0, m.start()) % 2 == 0), len(text))
    return text[:dashes].strip(), text[dashes + 2 :].strip()


def _descriptions(declared: Any, path: str = "") -> dict[str, str]:
    """What ``'TYPE -- description'`` says, by the path of the field."""
    match declared:
        case str() if path:
            words = _parted(declared)[1]
            return {path: words} if words else {}
        case dict():
            parts = (_descriptions(kind, f"{path}.{name}" if path else str(name)) for name, kind in declared.items())
            return {name: words for part in parts for name, words in part.items()}
        case [single]:
            return _descriptions(single, f"{path}[]")
    return {}


def _field_type(declared: Any, path: str) -> SqlType:
    match declared:
        case str():
            return _named(path, declared)
        case dict() if declared:
            children = {
                name: _field_type(kind, f"{path}.{name}" if path else str(name)) for name, kind in declared.items()
            }
            return struct_of(children)
        case [single]:
            return parse_type(f"{_field_type(single, f'{path}[]')}[]")
    raise ValueError(f"The field {path} needs a type as text, such as 'VARCHAR', not {declared!r}.")


def _named(path: str, text: str) -> SqlType:
    try:
        return parse_type(_parted(text)[0])
    except ValueError as error:
        raise ValueError(f"The field {path}: {error}") from None
