"""JSON text in and out with every digit kept."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_DECODER = json.JSONDecoder()


def read_json(text: str) -> Any:
    """Parse an answer's JSON, with or without words around it (see :func:`json_part`); decimals come as ``Decimal``.

    Raises
    ------
    ValueError : not JSON (``NaN`` and ``Infinity`` are not), or nested beyond all reason.

    >>> read_json('```json\\n{"a": 1.10}\\n```')
    {'a': Decimal('1.10')}
    """
    try:
        return _parse(text)
    except (ValueError, ArithmeticError, RecursionError) as error:
        part = json_part(text)
        if part != text:
            return read_json(part)
        raise ValueError(f"the answer is not JSON: {error}") from None


def json_part(text: str) -> str:
    """What is meant as JSON in an answer that is not: without the model's thoughts, a Markdown fence, a sentence around.

    Only where nothing else can be meant: of two fences or two objects none is chosen. Outside a fence an object counts,
    but no list: ``[1]`` amid prose is a reference.

    >>> json_part('Here you are:\\n```json\\n[1]\\n```\\nAnything else?'), json_part('{"a": 1} I hope it helps.')
    ('[1]', '{"a": 1}')
    >>> json_part('{"a": 1} or {"a": 2}')
    '{"a": 1} or {"a": 2}'
    """
    body = _THOUGHT.sub("", text, count=1).strip() if text.lstrip().startswith("<think>") else text.strip()
    fences = list(_FENCE.finditer(body))
    if fences:
        return fences[0][1].strip() if len(fences) == 1 and _is_prose(body, *fences[0].span()) else body
    start = body.find("{")
    try:
        end = _DECODER.raw_decode(body, start)[1] if start >= 0 else -1
    except (ValueError, RecursionError):
        return body
    return body[start:end] if end >= 0 and _is_prose(body, start, end) else body


def _is_prose(text: str, start: int, end: int) -> bool:
    """Whether nothing outside the range looks like a value of its own."""
    return not any(sign in text[:start] or sign in text[end:] for sign in "{}[]`")


def _parse(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs) and (twice := [name for name, item in pairs if found[name] != item]):
        raise ValueError(f"{twice[0]!r} stands there twice, with different values")
    return found


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def json_text(value: Any) -> str:
    """``value`` (as :func:`read_json` gives it) as JSON text.

    >>> json_text({"a": [Decimal("1.10"), None]})
    '{"a":[1.10,null]}'
    """
    match value:
        case dict():
            return "{" + ",".join(f"{json_text(str(name))}:{json_text(item)}" for name, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(json_text, value)) + "]"
        case Decimal():
            return str(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
