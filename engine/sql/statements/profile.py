"""``PROFILE query`` and ``SHOW FRONTIER [FOR query]``: what other ways to answer a query are worth, measured and listed."""

from __future__ import annotations

from dataclasses import dataclass

from ..tokens import Range, Text
from .grammar import end, expected


@dataclass(frozen=True, slots=True)
class Profile:
    """``PROFILE query``: its calls on its first rows, by every model that may answer."""

    query: str


@dataclass(frozen=True, slots=True)
class ShowFrontier:
    """``SHOW FRONTIER [FOR query]``; ``None``: of the connection's last query with calls."""

    query: str | None = None


def parse_profile(text: Text) -> Profile | ShowFrontier | None:
    """One of both; ``None``: it is neither."""
    if text.word(0) == "PROFILE":
        return Profile(_rest(text, 1, "PROFILE SELECT …"))
    if (text.word(0), text.word(1)) != ("SHOW", "FRONTIER"):
        return None
    if text.word(2) == "FOR":
        return ShowFrontier(_rest(text, 3, "SHOW FRONTIER FOR SELECT …"))
    end(text, 2, "SHOW FRONTIER, or FOR and a query")
    return ShowFrontier()


def _rest(text: Text, at: int, form: str) -> str:
    if text.word(at) in ("", ";"):
        raise expected(text, at, f"a query: {form}")
    return text.source(Range(at, len(text.tokens)))
