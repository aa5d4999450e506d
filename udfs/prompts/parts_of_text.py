"""A long text cut to the parts of it that have to do with a question.

Parts end where sentences do. They are ranked by the words that they share with the question (BM25, Robertson and Walker 1994,
over the parts of this one text, which are all about as long); the first part always stays, because texts begin with what they
are about. A question that shares no word with the text leaves its beginning and its end. No model is asked, and the same text
and question always give the same parts.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

LONG_CHARS = 8_000
"""A text that is no longer is not cut: about 2,000 tokens."""
PART_CHARS = 1_000
PARTS = 4
GAP = "\n[…]\n"
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]|\n\s*")
_WORD = re.compile(r"\w{3,}")
_STEM_CHARS = 6
_SATURATION = 1.2


def cut(text: str, about: Iterable[str]) -> str:
    """The parts of a text that have most to do with the words it is asked about, in the text's order; short texts stay whole.

    Parameters
    ----------
    about : what is asked: an instruction, labels, names of fields.

    >>> story = "The hero is born. " * 600 + "The kettle leaked. " + "He rides on. " * 600
    >>> "kettle" in cut(story, ["which kettle is broken"]), len(cut(story, ["kettles"])) < 4_100
    (True, True)
    """
    if len(text) <= LONG_CHARS:
        return text
    parts = list(parts_of(text))
    kept = sorted(_chosen(parts, _terms(" ".join(about))))
    pieces = [parts[kept[0]]]
    for before, place in pairwise(kept):
        pieces += [parts[place]] if place == before + 1 else [GAP, parts[place]]
    return "".join(pieces)


def parts_of(text: str) -> Iterator[str]:
    """The text in parts of at most ``PART_CHARS``, which together are the text; a longer sentence is cut anywhere.

    >>> [len(part) for part in parts_of("x" * 2_500)]
    [1000, 1000, 500]
    """
    start = end = 0
    for stop in (*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)):
        if stop - start > PART_CHARS and end > start:
            yield text[start:end]
            start = end
        while stop - start > PART_CHARS:
            yield text[start : start + PART_CHARS]
            start += PART_CHARS
        end = stop
    if start < len(text):
        yield text[start:]


def _chosen(parts: Sequence[str], asked: Counter[str]) -> list[int]:
    scores = _scores(parts, asked)
    last = len(parts) - 1
    by_score = sorted(range(1, last + 1), key=lambda place: (-scores[place], min(place, last - place), -place))
    return [0, *by_score[: PARTS - 1]]


def _scores(parts: Sequence[str], asked: Counter[str]) -> list[float]:
    """BM25 without its part for lengths."""
    found = [Counter({word: n for word, n in _terms(part).items() if word in asked}) for part in parts]
    having = Counter(word for words in found for word in words)
    rarity = {word: math.log(1 + (len(parts) - n + 0.5) / (n + 0.5)) for word, n in having.items()}
    return [
        sum(rarity[word] * n * (_SATURATION + 1) / (n + _SATURATION) for word, n in words.items()) for words in found
    ]


def _terms(text: str) -> Counter[str]:
    """Words without their endings, as far as their first letters are the same."""
    return Counter(word[:_STEM_CHARS] for word in _WORD.findall(text.casefold()))
