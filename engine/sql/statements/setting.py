"""``SET llm_… = value`` and ``RESET llm_…``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..tokens import Range, Text
from .grammar import Evaluate, constant, end, expected

_PLAIN = {"NULL": None, "DEFAULT": None, "TRUE": True, "FALSE": False, "ON": True, "OFF": False}


@dataclass(frozen=True, slots=True)
class SetSetting:
    """``SET name = value`` or ``RESET name`` (value ``None``)."""

    name: str
    value: Any


def parse_setting(text: Text, evaluate: Evaluate) -> SetSetting | None:
    """A setting of ours; ``None``: it is DuckDB's."""
    if text.word(0) not in ("SET", "RESET"):
        return None
    at = 2 if text.word(1) in ("SESSION", "GLOBAL", "LOCAL") else 1
    if not text.word(at).startswith("LLM_"):
        return None
    name = text.word(at).lower()
    if text.word(0) == "RESET":
        end(text, at + 1, f"RESET {name}")
        return SetSetting(name, None)
    if text.word(at + 1) not in ("=", "TO"):
        raise expected(text, at + 1, f"SET {name} = value")
    value = Range(at + 2, len(text.tokens))
    if value.hi - value.lo == 1 and not text.tokens[value.lo].quoted and text.word(value.lo).isidentifier():
        word = text.word(value.lo)
        return SetSetting(name, _PLAIN[word] if word in _PLAIN else text.source(value))
    return SetSetting(name, constant(text, value, evaluate))
