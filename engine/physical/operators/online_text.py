"""A row's inputs as one text for students that read words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ....udfs.prompts.inputs import render

_WORD = re.compile(r"\w+")
STEPS = 10


def text_of(values: Sequence[Any]) -> str:
    """All inputs behind one another. Of several, also which words all have, and how large a share of them that is: whether two texts
    are about the same thing is not to be seen from the words of each.

    >>> text_of(["Red lamp"]), text_of(["red lamp", "the lamp"])
    ('Red lamp', 'red lamp\\nthe lamp\\nboth_lamp share_3')
    """
    texts = [render(value) for value in values]
    if len(texts) < 2:
        return "".join(texts)
    words = [set(_WORD.findall(text.casefold())) for text in texts]
    both, either = set.intersection(*words), set.union(*words)
    share = round(STEPS * len(both) / len(either)) if either else 0
    return "\n".join([*texts, " ".join([*(f"both_{word}" for word in sorted(both)), f"share_{share}"])])
