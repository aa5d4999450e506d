"""One yes/no question about an input together with each of several candidates, in one prompt that asks which say Yes.

It is made from the requests that would ask about each alone. An id stands at the margin, and every line of a value is behind
an id or indented: no value can end its place or name another id.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from ...engine.errors import InvalidAnswer
from ...engine.types.json_text import read_json
from ..models.base import Generate, JsonAnswer, Reply
from .batched import indented
from .inputs import DATA_RULE

TOKENS_A_CANDIDATE, TOKENS_OF_FRAME = 8, 32
_RULE = (
    "The message holds candidates, each behind its own id, and then one input. A task is set about the input together with "
    "one candidate. Do it for every candidate by itself, as if it were the only one. Answer with one JSON object: `matches` is "
    "the list of the ids of all candidates for which the answer is Yes, and of no others; it is empty if there is none."
)


def which(request: Generate, question: str, candidates: Sequence[str], own: str) -> Generate:
    r"""The request that asks about all candidates at once.

    Parameters
    ----------
    request : about a pair alone. question : what it asks, with inputs that all pairs have in common.
    candidates, own : of each candidate, and of what they are asked about, the inputs, laid out and delimited as in ``request``.

    >>> print(which(Generate("", ""), "Is it so?", ["Name: b", "Name: c"], "Text: a").user)
    c1: Name: b
    c2: Name: c
    <BLANKLINE>
    Input:
      Text: a
    """
    words = request.system.replace(DATA_RULE, "").strip()
    task = "\n".join(part for part in (words, question) if part)
    system = f"{DATA_RULE}\n{_RULE}\nThe task:\n{indented(task)}"
    listed = [f"{name}: {indented(lines).lstrip()}" for name, lines in zip(_ids(candidates), candidates, strict=True)]
    user = "\n".join([*listed, "", "Input:", indented(own)])
    tokens = TOKENS_OF_FRAME + TOKENS_A_CANDIDATE * len(candidates)
    return replace(request, system=system, user=user, answer=JsonAnswer(_schema(candidates)), max_tokens=tokens)


def matches(reply: Reply, candidates: Sequence[str], model: str = "") -> frozenset[int]:
    """Places of the candidates that an answer names.

    Raises
    ------
    InvalidAnswer : it is no such object, or names what is no candidate.

    >>> sorted(matches(Reply('{"matches": ["c3", "c1"]}'), ["a", "b", "c"]))
    [0, 2]
    """
    places = {name: place for place, name in enumerate(_ids(candidates))}
    try:
        found = read_json(reply.text)["matches"]
        return frozenset(places[name] for name in found)
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidAnswer("The answer is no list of the candidates that match.", model, reply.text) from error


def _ids(candidates: Sequence[str]) -> list[str]:
    return [f"c{number}" for number in range(1, len(candidates) + 1)]


def _schema(candidates: Sequence[str]) -> str:
    item = {"type": "string", "enum": _ids(candidates)}
    whole = {
        "type": "object",
        "properties": {"matches": {"type": "array", "items": item}},
        "required": ["matches"],
        "additionalProperties": False,
    }
    return json.dumps(whole, separators=(",", ":"))
