"""What a join's prompts ask, read back from their text: for judges made by rule, in benchmarks and tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

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


def keys_said(user: str, schema: str, keys: Callable[[str], Sequence[str]]) -> str | None:
    """The answer to a prompt that asks an item, or several, for keys; ``None``: this one asks something else.

    Parameters
    ----------
    keys : of an item, by its inputs as a prompt about one pair has them.
    """
    asked = json.loads(schema) if schema else {}
    if asked.get("type") == "array":
        return json.dumps(list(keys(parted(user)[1][0])))
    if any(item.get("items", {}).get("type") != "string" for item in asked.get("properties", {"": {}}).values()):
        return None
    items = _items([part for part in user.split("\n\n") if ":\n" in part])
    return json.dumps({name: list(keys(own)) for name, own in items.items()})


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
