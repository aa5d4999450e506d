"""A yes/no question from what people write as a condition.

Small models judge a question far better than a bare statement (docs/quality.md), so a statement is asked as one.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Sentence openers that may lose their capital inside "Is it true that …"; anything else may be a name.
_OPENER = re.compile(
    r"(?:the|an?|this|that|these|those|there|it|s?he|they|its|his|her|their|all|any|both|each|every|either|no|none|one|some|"
    r"someone|anyone|customers?|text|reviews?|reviewer|user|author|product|item)\b",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"(?:please\s+)?(?:return|answer|say|decide|determine|check|judge|tell(?:\s+me)?|find(?:\s+out)?|verify|evaluate|assess|"
    r"keep|select|filter)\b[^.?!]{0,40}?\b(?:if|whether|when|that)\s+(?P<clause>.+)",
    re.IGNORECASE | re.DOTALL,
)


@lru_cache(maxsize=256)  # rows share their condition
def question(condition: str) -> str:
    """The condition as a question; one that ends in a question mark stays as it is.

    >>> question("The review is positive.")
    'Is it true that the review is positive?'
    >>> question("Return true if the customer is angry")
    'Is it true that the customer is angry?'
    >>> question("Is this review positive?")
    'Is this review positive?'
    """
    text = condition.strip()
    if text.endswith(("?", "？")):
        return text
    if match := _COMMAND.fullmatch(text):
        text = match.group("clause")
    return f"Is it true that {_lowered(text.rstrip(' .!'))}?"


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:] if _OPENER.match(text) else text
