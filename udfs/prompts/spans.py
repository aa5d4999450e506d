"""Words that a model found in a text, found again by exact search: where they stand is for us to say, not for the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_EDGE = re.compile(r"[A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``[start, end)`` of a text, counted from 0, and what they are."""

    start: int
    end: int
    label: str


def find_spans(text: str, entities: Sequence[tuple[str, str]]) -> tuple[list[Span], list[str]]:
    """Every occurrence of every entity (its words, its label), left to right, and the words that do not occur.

    Where two overlap, the longer one counts, and of the other what it leaves uncovered: nothing found stays in view. Words match across any white space and, if they do not stand in the text as
    they are, in any case; ``Al`` does not match in ``Also`` unless it occurs nowhere else.

    >>> find_spans("Al wrote to Also-Al.", [("Al", "NAME"), ("Bo", "NAME")])
    ([Span(start=0, end=2, label='NAME'), Span(start=17, end=19, label='NAME')], ['Bo'])
    """
    found: list[Span] = []
    missing: list[str] = []
    for words, label in entities:
        places = _places(text, words)
        found += [Span(start, end, label) for start, end in places]
        if not places:
            missing.append(words)
    return _apart(text, found), missing


def consecutive(text: str, parts: Sequence[str]) -> list[tuple[int, int]] | str:
    """Where the parts stand, each after the one before it; or the first part that does not.

    >>> consecutive("One. Two.  One.", ["One.", "two. one."])
    [(0, 4), (5, 15)]
    >>> consecutive("One. Two.", ["Two.", "One."])
    'One.'
    """
    found: list[tuple[int, int]] = []
    at = 0
    for part in parts:
        span = following(text, part, at)
        if span is None:
            return part
        found.append(span)
        at = span[1]
    return found


def following(text: str, part: str, at: int) -> tuple[int, int] | None:
    """Where a part stands first, at ``at`` or after it.

    >>> following("One. Two. one.", "one.", 1), following("One.", "Two.", 0)
    ((10, 14), None)
    """
    # Mostly it comes next, as it is: a pattern for each part would cost more than the search.
    words = part.strip()
    start = text.find(words, at)
    if words and start >= 0 and not text[at:start].strip():
        return (start, start + len(words))
    pattern = _words(part.split())
    match = re.compile(pattern).search(text, at) or re.compile(pattern, re.IGNORECASE).search(text, at)
    return match and match.span()


def replaced(text: str, spans: Sequence[Span]) -> str:
    """The text with ``[label]`` in the place of every span.

    >>> replaced("Al wrote.", [Span(0, 2, "NAME")])
    '[NAME] wrote.'
    """
    pieces: list[str] = []
    at = 0
    for span in spans:
        pieces += [text[at : span.start], f"[{span.label}]"]
        at = span.end
    return "".join([*pieces, text[at:]])


def _words(parts: Sequence[str]) -> str:
    """A pattern of words across any white space; where a prompt breaks up control words (``< |``), the text has none."""
    after = ((r"\s*" if left.endswith(("<", "[")) else r"\s+") + re.escape(right) for left, right in pairwise(parts))
    return "".join([*map(re.escape, parts[:1]), *after])


def _places(text: str, words: str) -> list[tuple[int, int]]:
    parts = words.split()
    if not parts:
        return []
    pattern = _words(parts)
    # ASCII only: scripts without spaces have no such edges, and there each occurrence counts.
    before = r"(?<![A-Za-z0-9_])" if _EDGE.match(parts[0]) else ""
    after = r"(?![A-Za-z0-9_])" if _EDGE.match(parts[-1][-1]) else ""
    for wanted in (f"{before}{pattern}{after}", pattern):
        for flags in (re.NOFLAG, re.IGNORECASE):
            if places := [match.span() for match in re.finditer(wanted, text, flags)]:
                return places
    return []


def _apart(text: str, spans: Sequence[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        parts = [span]
        for other in kept:
            parts = [piece for part in parts for piece in _outside(part, other)]
        kept += [trimmed for part in parts if (trimmed := _trimmed(text, part)).start < trimmed.end]
    return sorted(kept, key=lambda span: span.start)


def _outside(span: Span, other: Span) -> list[Span]:
    """What of a span the other leaves uncovered."""
    before = Span(span.start, min(span.end, other.start), span.label)
    after = Span(max(span.start, other.end), span.end, span.label)
    return [part for part in (before, after) if part.start < part.end]


def _trimmed(text: str, span: Span) -> Span:
    words = text[span.start : span.end]
    start = span.start + len(words) - len(words.lstrip())
    return Span(start, start + len(words.strip()), span.label)
