"""From a model's words to one of the choices, and from its token probabilities to a score per choice."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...engine.errors import InvalidAnswer

# What stands before the answer in a JSON reply, whatever stands before that (llama.cpp lets a model open a code fence).
_FRAME = re.compile(r'\{\s*"[^"]*"\s*:\s*"')
_TRIM = " \t\r\n.!,;:\"'`*()[]"


def match_choice(answer: str, choices: Sequence[str], model: str = "") -> str:
    """The choice that the answer names, verbatim: exact, or up to JSON quoting, case, and punctuation around it.

    Raises
    ------
    InvalidAnswer : it names none, or more than one.

    >>> match_choice('{"answer": "yes"}', ("Yes", "No"))
    'Yes'
    """
    if answer in choices:
        return answer
    words = unquote(answer)
    for clean in (str, str.strip, _folded):
        if len(found := [choice for choice in choices if clean(choice) == clean(words)]) == 1:
            return found[0]
    listed = ", ".join(map(repr, choices[:10])) + (", …" if len(choices) > 10 else "")
    raise InvalidAnswer(f"The model answered {words[:80]!r}, which is none of: {listed}.", model, answer)


def unquote(answer: str) -> str:
    """The string inside a JSON string or a one-field JSON object; else the text itself."""
    try:
        value = json.loads(answer)
    except ValueError:
        return answer
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else answer


def _folded(words: str) -> str:
    return words.strip(_TRIM).casefold() or words.strip().casefold()


def choice_scores(tokens: Sequence[Mapping[str, Any]], choices: Sequence[str]) -> dict[str, float] | None:
    """The log-probability of each choice's first token, from ``logprobs.content`` of an OpenAI-compatible reply.

    A choice's score adds up the listed tokens that begin it and no other choice (``Yes``, `` yes``). A choice with no
    listed token gets the lowest listed log-probability, an upper bound of its own.

    Returns
    -------
    ``None`` where the scores would mean nothing: no position in the reply begins the answer, a listed token begins two
    choices, or no choice was listed.
    """
    if (listed := _first_tokens(tokens)) is None:
        return None
    scores: dict[str, float] = {}
    for token, logprob in listed:
        begun = [choice for choice in choices if _begins(token, choice)]
        if len(begun) > 1:
            return None
        if begun:
            scores[begun[0]] = _log_add(scores.get(begun[0], -math.inf), logprob)
    if not scores:
        return None
    floor = min(logprob for _, logprob in listed)
    return {choice: scores.get(choice, floor) for choice in choices}


def _first_tokens(tokens: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]] | None:
    """The alternatives at the position of the answer's first letter, past ``{"answer": "`` if there is one."""
    start = _answer_start("".join(str(token.get("token", "")) for token in tokens))
    offset = 0
    for token in tokens:
        words = str(token.get("token", ""))
        if offset <= start < offset + len(words):
            skipped = words[: start - offset]
            tops = token.get("top_logprobs") or ()
            found = [(str(top["token"]), float(top["logprob"])) for top in tops]
            kept = [(name[len(skipped) :], logprob) for name, logprob in found if name.startswith(skipped)]
            return kept if skipped.strip() else found or None
        offset += len(words)
    return None


def _answer_start(reply: str) -> int:
    framed = _FRAME.search(reply)
    return framed.end() if framed else len(reply) - len(reply.lstrip())


def _begins(token: str, choice: str) -> bool:
    head, whole = token.strip().casefold(), choice.strip().casefold()
    return bool(head) and (whole.startswith(head) or head.strip(_TRIM) == whole)


def _log_add(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))
