"""Instructions with placeholders: ``'{review} recommends {1}'``. A template is text, never code.

A placeholder names an input or gives its position from 0. In the prompt it becomes the input's label; the row's value
stands with the other delimited inputs, not inside the instruction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from .inputs import label

# The article before a placeholder belongs to it: "the {review}" and "{review}" read the same.
_PLACEHOLDER = re.compile(r"\{\{|\}\}|(\b[Tt]he\s+)?\{\s*([\w. ]+?)\s*\}")


def instruction(template: str, names: Sequence[str], texts: Sequence[str] = ()) -> str:
    """The template with every placeholder turned into its input's label; ``{{`` and ``}}`` are literal braces.

    Parameters
    ----------
    names : of the inputs, as :func:`~.inputs.input_names` gives them.
    texts : the user's words for the inputs, so that ``{a.title}`` and ``{b.title}`` can be told apart.

    Raises
    ------
    ValueError : a placeholder is neither an input's name nor a position.

    >>> instruction("{review} is {{very}} positive", ("review",))
    'the review is {very} positive'
    """

    def reference(match: re.Match[str]) -> str:
        word = match.group(2)
        if word is None:
            return match.group()[0]
        article = match.group(1) or "the "
        return f"{article}{label(names[_position(word, names, texts)]).lower()}"

    return _PLACEHOLDER.sub(reference, template).strip()


def _position(word: str, names: Sequence[str], texts: Sequence[str]) -> int:
    if word.isdecimal() and int(word) < len(names):
        return int(word)
    wanted = word.casefold()
    for known, looked_for in ((texts, wanted), (names, wanted), (names, wanted.rpartition(".")[2])):
        for position, name in enumerate(known):
            if name.casefold() == looked_for:
                return position
    near = get_close_matches(word, names, n=1)
    hint = f" Did you mean {{{near[0]}}}?" if near else ""
    listed = ", ".join(names) or "there are none"
    raise ValueError(f"The placeholder {{{word}}} is none of the inputs ({listed}).{hint}")
