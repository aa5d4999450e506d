"""All pairs of two lists in one prompt: how they are laid out, the schema that holds the model to pairs of ids, and its reading.

A pair is found by its ids and by nothing else. Ids stand at the margin, every line of an item is indented, and no id occurs
in the text of any item: so an item can neither end early, nor open another, nor name one. The question is the user's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import read_json
from ..models.base import Generate, JsonAnswer, Reply
from .batched import indented, unused_ids
from .inputs import DATA_RULE
from .judgement import NO, YES

ID_TOKENS = 6
"""Of an item besides its text: its id, a colon, the indentation."""
MATCH_TOKENS = 20
"""Output tokens of one pair."""
SPARE_TOKENS = 32
_ANSWER = f"Answer {YES} or {NO}."
_RULE = (
    "The message holds a question and two lists, A and B. Each item of a list stands under its own id, its lines indented. The "
    "question is asked of every pair of one item of A and one item of B, of each as if nothing else were there. Take the items "
    "of A one after the other, and look at every item of B for each. An item may be in several pairs, or in none. Answer with "
    'one JSON object, {"pairs": [{"a": id, "b": id}, …]}: exactly the pairs for which the answer is Yes, an empty list if there '
    "are none."
)


@dataclass(frozen=True, slots=True)
class PairBlock:
    """One request about all pairs of two lists; ids are in the order of the items."""

    request: Generate
    lefts: tuple[str, ...]
    rights: tuple[str, ...]


def pair_block(request: Generate, question: str, lefts: Sequence[str], rights: Sequence[str]) -> PairBlock:
    """One request for all pairs.

    Parameters
    ----------
    request : the one that asks about a single pair. question : what it asks, with inputs that all pairs have in common.
    lefts, rights : of each item its inputs, laid out and delimited as in ``request``.

    >>> block = pair_block(Generate("", ""), "Are both the same?", ["Name: Al", "Name: Bo"], ["Title: Mr Al"])
    >>> print(block.request.user)
    Are both the same?
    <BLANKLINE>
    List A
    <BLANKLINE>
    xtgb:
      Name: Al
    <BLANKLINE>
    jnvt:
      Name: Bo
    <BLANKLINE>
    List B
    <BLANKLINE>
    ztgf:
      Title: Mr Al
    """
    ids = unused_ids(request, len(lefts) + len(rights), "\n".join([question, *lefts, *rights]))
    first, second = ids[: len(lefts)], ids[len(lefts) :]
    user = "\n\n".join([question, "List A", *_items(first, lefts), "List B", *_items(second, rights)])
    made = replace(
        request,
        system=instruction(request),
        user=user,
        answer=JsonAnswer(_schema(first, second)),
        max_tokens=answer_tokens(len(lefts), len(rights)),
    )
    return PairBlock(made, first, second)


def instruction(request: Generate) -> str:
    """The system message: how to answer about pairs, then what the call itself says."""
    own = request.system.replace(DATA_RULE, "").replace(_ANSWER, "").strip()
    return "\n".join(part for part in (DATA_RULE, _RULE, own) if part)


def answer_tokens(lefts: int, rights: int) -> int:
    """The most that an answer may take: where more pairs match than the longer list has items, blocks have to be smaller."""
    return SPARE_TOKENS + MATCH_TOKENS * max(lefts, rights)


def read_pairs(reply: Reply, block: PairBlock, model: str = "") -> set[tuple[int, int]]:
    """Places in both lists of the pairs that were named; what names no pair of the block is ignored.

    Raises
    ------
    InvalidAnswer : the whole is no list of pairs.

    >>> block = PairBlock(Generate("", ""), ("bcd", "fgh"), ("jkl",))
    >>> read_pairs(Reply('{"pairs": [{"a": "fgh", "b": "jkl"}, {"a": "fgh", "b": "jkl"}, {"a": "zzz", "b": "jkl"}]}'), block)
    {(1, 0)}
    """
    left = {name: place for place, name in enumerate(block.lefts)}
    right = {name: place for place, name in enumerate(block.rights)}
    return {(left[a], right[b]) for a, b in _named(reply.text, model) if a in left and b in right}


def _named(text: str, model: str) -> Iterator[tuple[str, str]]:
    try:
        value = read_json(text)
    except ValueError:
        value = None
    listed = value.get("pairs") if isinstance(value, Mapping) else value
    if not isinstance(listed, list):
        raise InvalidAnswer("The answer about pairs is no list of them.", model, text)
    for pair in listed:
        match [pair.get("a"), pair.get("b")] if isinstance(pair, Mapping) else pair:
            case [str(left), str(right)]:
                yield left, right


def _items(ids: Sequence[str], texts: Sequence[str]) -> list[str]:
    return [f"{name}:\n{indented(text)}" for name, text in zip(ids, texts, strict=True)]


def _schema(lefts: Sequence[str], rights: Sequence[str]) -> str:
    sides: dict[str, Any] = {
        "a": {"type": "string", "enum": list(lefts)},
        "b": {"type": "string", "enum": list(rights)},
    }
    pair = {"type": "object", "properties": sides, "required": ["a", "b"], "additionalProperties": False}
    whole = {
        "type": "object",
        "properties": {"pairs": {"type": "array", "items": pair}},
        "required": ["pairs"],
        "additionalProperties": False,
    }
    return json.dumps(whole, separators=(",", ":"))
