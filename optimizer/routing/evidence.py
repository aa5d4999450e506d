"""What arms said of a row, as numbers that a regression reads."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .belief import Floats

ANSWERS = 4
"""Kinds of answers that are told apart, by a digest: a few labels mostly each have their own."""
OF_ANSWER = 4 + ANSWERS
OF_UPSTREAM = 3


@dataclass(frozen=True, slots=True)
class Said:
    """An arm's answer. ``confidence`` : how sure its model is, on any scale that grows away from 0; ``None``: it does not say."""

    answer: Any
    confidence: float | None = None


def reading(context: Floats, said: Said) -> Floats:
    """An answer as features: the context (a 1 first), how sure the model is, bent, and which answer it is. Different answers err
    differently often, and each may be too sure in its own way.

    >>> len(reading(np.ones(2), Said("up", 1.5))) == 2 + OF_ANSWER
    True
    """
    sure = 0.0 if said.confidence is None else math.log1p(abs(said.confidence))
    side = 1.0 if said.answer is True else -1.0 if said.answer is False else 0.0
    which = np.zeros(ANSWERS)
    if not side:
        which[zlib.crc32(str(said.answer).casefold().encode(errors="surrogatepass")) % ANSWERS] = 1.0
    return np.concatenate([context, [sure, sure * sure / 3.0, side, side * sure], which])


def upstream(said: Sequence[Said]) -> Floats:
    """What calls that were asked about the same inputs before made of them: how many, the last one's side, and how sure it was.

    >>> upstream([Said(True, 2.0)]).round(2).tolist()
    [1.0, 1.0, 1.1]
    """
    if not said:
        return np.zeros(OF_UPSTREAM)
    last = said[-1]
    side = {True: 1.0, False: -1.0}.get(last.answer, 0.0) if isinstance(last.answer, bool) else 0.0
    return np.array([1.0, side, math.log1p(abs(last.confidence or 0.0))])
