"""JSON text in and out with every digit kept."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

_FENCE = re.compile(r"\s*```[a-zA-Z]*\n(.*?)\n?```\s*", re.DOTALL)


def read_json(text: str) -> Any:
    """Parse an answer's JSON, with or without a Markdown fence; numbers with a point come as ``Decimal``.

    Raises
    ------
    ValueError : not JSON (``NaN`` and ``Infinity`` are not), or nested beyond all reason.

    >>> read_json('```json\\n{"a": 1.10}\\n```')
    {'a': Decimal('1.10')}
    """
    fenced = _FENCE.fullmatch(text)
    try:
        return json.loads(fenced[1] if fenced else text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"the answer is not JSON: {error}") from None


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
