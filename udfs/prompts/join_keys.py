"""What a row of a join is looked up by: the question for its keys, made from the question about a pair, and their reading.

Rows that belong together are found by a key that both were given without seeing each other. So the prompt asks for what decides the
question, in its most usual form; how it is written (case, signs, the order of words) does not count afterwards.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace

from ...engine.errors import InvalidAnswer
from ...engine.types.json_text import read_json
from ..models.base import Generate, JsonAnswer, Reply
from .inputs import DATA_RULE
from .judgement import NO, YES

MOST_KEYS = 3
KEY_TOKENS = 16
"""Output tokens of one key, at most."""
USUAL_TOKENS = 24
"""Output tokens of a row's keys, as they mostly are."""
LONGEST = 80
_ANSWER = f"Answer {YES} or {NO}."
_RULE = (
    "The message holds a question about pairs and one item, which is one half of a pair; its other half is somewhere else. Give the "
    f"item's keys: one to {MOST_KEYS} short texts by which its partners can be found. An item and a partner for which the answer may be "
    "Yes must get a key in common although nobody sees both; items that do not belong together should not. So name what decides "
    "the question, in its full and most usual form: official names instead of abbreviations and nicknames, model numbers and years as they "
    "are, in English, without any comment; the most telling key first. Answer with a JSON list of strings."
)
_SCHEMA = json.dumps(
    {"type": "array", "items": {"type": "string", "maxLength": LONGEST}, "minItems": 1, "maxItems": MOST_KEYS},
    separators=(",", ":"),
)
_WORD = re.compile(r"[^\W_]+")


def key_request(request: Generate, question: str, own: str) -> Generate:
    r"""The question for one row's keys.

    Parameters
    ----------
    request : about a pair alone. question : what it asks, with inputs that all pairs have in common. own : the row's inputs, laid out
        and delimited as in ``request``.

    >>> key_request(Generate("", ""), "Are both the same?", "Name: Al").user
    'Are both the same?\n\nName: Al'
    """
    words = request.system.replace(DATA_RULE, "").replace(_ANSWER, "").strip()
    system = "\n".join(part for part in (DATA_RULE, _RULE, words) if part)
    answer, most = JsonAnswer(_SCHEMA), MOST_KEYS * KEY_TOKENS
    return replace(request, system=system, user=f"{question}\n\n{own}", answer=answer, max_tokens=most)


def keys_of(reply: Reply, model: str = "") -> frozenset[str]:
    """A row's keys, as they are compared.

    Raises
    ------
    InvalidAnswer : it is no list of texts.

    >>> sorted(keys_of(Reply('["Sony WH-1000XM4", "sony wh1000xm4", ""]')))
    ['1000xm4 sony wh', 'sony wh1000xm4', 'sonywh1000xm4']
    """
    try:
        value = read_json(reply.text)
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise InvalidAnswer("The answer is no list of keys.", model, reply.text)
    return frozenset(form for key in value if isinstance(key, str) for form in forms(key))


def forms(key: str) -> tuple[str, ...]:
    """A key as it is compared: without case, accents and signs, as it is written and with its words in order.

    >>> forms("Müller, Zoë"), forms("zoe muller"), forms(" – ")
    (('mullerzoe', 'muller zoe'), ('zoemuller', 'muller zoe'), ())
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", key.casefold()) if not unicodedata.combining(c))
    words = _WORD.findall(plain)
    return tuple(dict.fromkeys(["".join(words), " ".join(sorted(words))])) if words else ()
