"""From the alternatives for an answer's first token to the log-probability of each choice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def choice_scores(top: Sequence[Mapping[str, Any]], choices: Sequence[str]) -> dict[str, float] | None:
    """Natural log-probability of each choice; ``None`` when no alternative begins any of them.

    A choice gets the mass of every token that begins it and no other choice, whatever its case and leading space.
    One without any gets the smallest log-probability that was listed, which is an upper bound.

    Parameters
    ----------
    top : alternatives as OpenAI's ``top_logprobs`` lists them: ``token``, ``logprob`` and, where known, ``bytes``.
    choices : the answers, none of which may be empty.

    >>> top = [{"token": "Yes", "logprob": -0.5}, {"token": " yes", "logprob": -3.0}, {"token": "The", "logprob": -4.0}]
    >>> {c: round(s, 2) for c, s in choice_scores(top, ("Yes", "No")).items()}
    {'Yes': -0.42, 'No': -4.0}
    """
    stems = [choice.lower().encode() for choice in choices]
    masses = [0.0] * len(choices)
    for entry in top:
        hits = _begun(_stem(entry), stems)
        if len(hits) == 1:
            masses[hits[0]] += math.exp(entry["logprob"])
    if not any(masses):
        return None
    floor = min(entry["logprob"] for entry in top)
    return {c: math.log(m) if m > 0 else floor for c, m in zip(choices, masses, strict=True)}


def _begun(stem: bytes, stems: Iterable[bytes]) -> list[int]:
    return [i for i, choice in enumerate(stems) if stem and choice.startswith(stem)]


def _stem(entry: Mapping[str, Any]) -> bytes:
    # Bytes, because a token may be part of a character.
    raw = bytes(entry["bytes"]) if entry.get("bytes") else str(entry["token"]).encode()
    try:
        return raw.decode().strip().lower().encode()
    except UnicodeDecodeError:
        return raw
