"""How far two answers to the same question agree, 0 to 1."""

from __future__ import annotations

import math
from typing import Any

from ...engine.types import EXACT_KINDS, SqlType
from ...udfs.spec import SemanticFunction

TOLERANCE = 1e-6


def comparable(function: SemanticFunction, answers: SqlType) -> bool:
    """Whether agreement means anything for such answers: not for free text, where one sense has many wordings.

    >>> from anserdb.engine.types import parse_type
    >>> from anserdb.udfs.functions import functions
    >>> comparable(functions()["LLM_CLASSIFY"], parse_type("VARCHAR"))
    True
    >>> comparable(functions()["LLM_TRANSLATE"], parse_type("VARCHAR"))
    False
    """
    return function.kind == "scalar" and (function.closed_answers or answers.kind in EXACT_KINDS)


def agreement(mine: Any, reference: Any) -> float:
    """1 for equal answers; of STRUCTs and lists the share of parts that agree. Case and outer space do not count in text.

    >>> agreement({"product": "Lamp ", "amount": 3}, {"product": "lamp", "amount": 4})
    0.5
    >>> agreement(None, None), agreement(None, False)
    (1.0, 0.0)
    """
    if mine is None or reference is None:
        return float(mine is reference)
    if isinstance(reference, dict) and isinstance(mine, dict):
        return _mean([agreement(mine.get(name), value) for name, value in reference.items()])
    if isinstance(reference, list | tuple) and isinstance(mine, list | tuple):
        return _lists(list(mine), list(reference))
    if isinstance(reference, str) and isinstance(mine, str):
        return float(mine.strip().casefold() == reference.strip().casefold())
    if isinstance(reference, float) and isinstance(mine, float | int):
        return float(math.isclose(mine, reference, rel_tol=TOLERANCE, abs_tol=TOLERANCE))
    return float(mine == reference)


def _lists(mine: list[Any], reference: list[Any]) -> float:
    """Elements that both have (in whatever order), over all that either has."""
    left, shared = list(mine), 0
    for element in reference:
        found = next((i for i, other in enumerate(left) if agreement(other, element) == 1.0), None)
        if found is not None:
            left.pop(found)
            shared += 1
    return shared / (len(reference) + len(left)) if reference or left else 1.0


def _mean(parts: list[float]) -> float:
    return sum(parts) / len(parts) if parts else 1.0
