"""Where the condition of a join ends."""

from __future__ import annotations

from collections.abc import Sequence

from .tokens import Text

JOIN_WORDS = ("INNER", "LEFT", "RIGHT", "FULL", "OUTER", "SEMI", "ANTI", "ASOF", "NATURAL", "CROSS", "POSITIONAL")


def join_end(text: Text, tops: Sequence[int], on: int, hi: int) -> int:
    """Where an ON condition ends: at the next join or comma."""
    for index in tops:
        if index <= on:
            continue
        word = text.word(index)
        if word in ("JOIN", ",") or (word in JOIN_WORDS and text.word(index + 1) in ("JOIN", "OUTER", *JOIN_WORDS)):
            return index
    return hi
