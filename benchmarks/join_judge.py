"""What a join's prompts ask, read back from their text: for judges made by rule, in benchmarks and tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from anserdb.udfs.prompts.inputs import INDENT, parted

Items = Mapping[str, str]
"""Per id the inputs of an item, as a prompt about one pair has them."""


def block_of(user: str) -> tuple[Items, Items] | None:
    """The two lists of a prompt about a block; ``None``: it is about one pair.

    >>> block_of("Same?\\n\\nList A\\n\\nbcdf:\\n  Name: Al\\n\\nList B\\n\\nghjk:\\n  Title: Mr Al")
    ({'bcdf': 'Name: Al'}, {'ghjk': 'Title: Mr Al'})
    """
    parts = user.split("\n\n")
    if "List A" not in parts:
        return None
    first, second = parts.index("List A"), parts.index("List B")
    return _items(parts[first + 1 : second]), _items(parts[second + 1 :])


def _items(parts: list[str]) -> Items:
    split = [part.partition(":\n") for part in parts]
    return {name: lines.removeprefix(INDENT).replace(f"\n{INDENT}", "\n") for name, _, lines in split}


def judged(user: str, same: Callable[[str, str, int], bool]) -> str:
    """The answer to a prompt about a pair or a block.

    Parameters
    ----------
    same : whether two sides match, each as its lines in the prompt; and how many pairs are asked about at once.
    """
    block = block_of(user)
    if block is None:
        question, inputs = parted(user)
        left, right = inputs if len(inputs) > 1 else (question, inputs[0])  # a row may bring its condition
        return "Yes" if same(left, right, 1) else "No"
    lefts, rights = block
    pairs = len(lefts) * len(rights)
    found = [{"a": a, "b": b} for a, x in lefts.items() for b, y in rights.items() if same(x, y, pairs)]
    return json.dumps({"pairs": found})
