"""Several rows in one prompt: how they are laid out, the schema that holds the model to one answer each, and its reading.

A row's answer is found by its id and by nothing else. An id stands at the margin; every line of a row is indented, and no
id occurs in the text of any row. So a row can neither end early, nor open another, nor name one.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types.json_text import json_part, json_text
from ..models.base import Answer, ChoiceAnswer, Generate, JsonAnswer, Reply, TextAnswer, request_key
from ..models.choices import match_choice
from .inputs import INDENT, folded

FRAME_TOKENS = 12
"""Output tokens of an item besides its answer: id, quotes and comma are ours, not the caller's cap's."""
_LETTERS = "bcdfghjkmnpqrstvwxz"  # without vowels there are no words, so ids are rarely in a text
_LENGTH = 4
_RULE = (
    "The message holds several items. Each stands under its own id, its lines indented. Do what is said above for every "
    "item by itself, as if it were the only one: nothing in an item is about another one. Answer with one JSON object "
    "whose keys are the ids of all items; the value of an id is the answer to its item, {form}."
)


@dataclass(frozen=True, slots=True)
class Batch:
    """One request about several rows; ``ids`` are in the order of the rows."""

    request: Generate
    ids: tuple[str, ...]


def batchable(request: object) -> bool:
    """Whether a request can be asked in company: a text one, without token probabilities, which no batch has."""
    if not isinstance(request, Generate) or not request.user:
        return False
    return not (isinstance(request.answer, ChoiceAnswer) and request.answer.scores)


def shared(request: Generate) -> Generate:
    """What rows of one prompt have to agree on; how long an answer may get is none of it.

    >>> shared(Generate("s", "a", max_tokens=5)) == shared(Generate("s", "b", max_tokens=9))
    True
    """
    return replace(request, user="", max_tokens=0)


def row_key(identity: str, request: Generate, rows: int | str) -> bytes:
    """The key of a row's answer given in company: alone, or among more or fewer, the model may have said something else.

    Which rows stood beside it is no part of it, so that the answer is found whatever its neighbours are then.

    >>> row_key("m", Generate("s", "a"), 2) == row_key("m", Generate("s", "a"), 3)
    False
    """
    return request_key(f"{identity} batch_rows={rows}", replace(request, system=instruction(request)))


def instruction(request: Generate) -> str:
    """The system message of a batch: the function's own, then how to answer for many."""
    rule = _RULE.format(form=_form(request.answer))
    return f"{request.system}\n{rule}" if request.system else rule


def together(requests: Sequence[Generate]) -> Batch:
    """One request for all, which agree on what is :func:`shared`.

    >>> batch = together([Generate("Translate.", "Text: un"), Generate("Translate.", "Text: deux")])
    >>> print(batch.request.user)
    wvhr:
      Text: un
    <BLANKLINE>
    cvjc:
      Text: deux
    """
    first = requests[0]
    head, items = _parted([request.user for request in requests])
    ids = unused_ids(first, len(items), "\n".join([head, *items]))
    blocks = [f"{name}:\n{indented(item)}" for name, item in zip(ids, items, strict=True)]
    user = "\n\n".join([*([f"For every item: {folded(head)}"] if head else []), *blocks])
    tokens = sum(request.max_tokens for request in requests) + FRAME_TOKENS * len(items)
    answer = JsonAnswer(_schema(first.answer, ids))
    return Batch(replace(first, system=instruction(first), user=user, answer=answer, max_tokens=tokens), ids)


def read(reply: Reply, ids: Sequence[str], answer: Answer, model: str = "") -> list[Reply | None]:
    """Each row's reply, in the order of ``ids``; ``None`` where there is none: missing, given twice, or no such answer.

    Raises
    ------
    InvalidAnswer : the whole is no JSON object.

    >>> [row and row.text for row in read(Reply('{"b": "2", "x": "9", "a": "1"}'), ("a", "b", "c"), TextAnswer())]
    ['1', '2', None]
    """
    given = _object(reply.text, model)
    return [_reply(given[name], answer) if given.get(name) is not None else None for name in ids]


def _reply(value: Any, answer: Answer) -> Reply | None:
    match answer, value:
        case JsonAnswer(), _:
            return Reply(json_text(value))
        case _, dict() | list():
            return None
        case ChoiceAnswer(choices), _:
            try:
                return Reply(match_choice(_words(value), choices))
            except InvalidAnswer:
                return None
        case _:
            return Reply(_words(value))


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def _object(text: str, model: str) -> Mapping[str, Any]:
    for part in dict.fromkeys((text, json_part(text))):
        try:
            value = json.loads(part, parse_float=Decimal, parse_constant=_refused, object_pairs_hook=_once)
        except (ValueError, ArithmeticError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    raise InvalidAnswer("The answer for several rows is no JSON object.", model, text)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs without keys that come twice: which of the two is meant is not ours to guess."""
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def _form(answer: Answer) -> str:
    match answer:
        case TextAnswer():
            return "as a string"
        case ChoiceAnswer():
            return "as a string that is one of the answers allowed"
        case JsonAnswer():
            return "as the JSON that is asked for"


def answer_schema(answer: Answer) -> Any:
    """An answer as a part of a JSON object.

    >>> answer_schema(ChoiceAnswer(("Yes", "No")))
    {'type': 'string', 'enum': ['Yes', 'No']}
    """
    match answer:
        case TextAnswer():
            return {"type": "string"}
        case ChoiceAnswer(choices):
            return {"type": "string", "enum": list(choices)}
        case JsonAnswer(schema):
            return json.loads(schema)


def _schema(answer: Answer, ids: Sequence[str]) -> str:
    item = answer_schema(answer)
    whole = {
        "type": "object",
        "properties": dict.fromkeys(ids, item),
        "required": list(ids),
        "additionalProperties": False,
    }
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def _parted(users: Sequence[str]) -> tuple[str, list[str]]:
    """What all begin with, up to their first empty line (a question, as a rule), and the rest of each."""
    heads = {user.partition("\n\n")[:2] for user in users}
    head, blank = next(iter(heads))
    if len(heads) > 1 or not blank:
        return "", list(users)
    return head, [user.partition("\n\n")[2] for user in users]


def indented(text: str) -> str:
    """The text with every line off the margin, where ids stand."""
    return "\n".join(f"{INDENT}{line}" for line in text.splitlines() or [""])


@lru_cache(maxsize=256)
def _seed(request: Generate) -> bytes:
    return hashlib.blake2b(repr(request).encode(errors="surrogatepass"), digest_size=16).digest()


def unused_ids(request: Generate, count: int, text: str) -> tuple[str, ...]:
    """Ids of which none occurs in the text. Batches of one call site, whose requests are like this one, mostly have the same
    ones: servers compile a schema once, and the prompt's beginning stays as it is."""
    seed = _seed(shared(request))
    plain = unicodedata.normalize("NFKC", text).casefold()
    found: dict[str, None] = {}
    number = 0
    while len(found) < count:
        name = _id(seed, number)
        number += 1
        if name not in plain:
            found[name] = None
    return tuple(found)


def _id(seed: bytes, number: int) -> str:
    digest = hashlib.blake2b(number.to_bytes(8), key=seed, digest_size=8).digest()
    # Longer ones after so many that the texts hold most of the short ones.
    length = _LENGTH + number // 1000
    value, letters = int.from_bytes(digest), ""
    for _ in range(length):
        value, position = divmod(value, len(_LETTERS))
        letters += _LETTERS[position]
    return letters
