"""Another wording of a question: the reason first, in a field of its own, then the answer.

A small model that has to commit itself with its first token errs where a sentence of thought would have helped (Wei et al.,
2022, "Chain-of-Thought Prompting"). The reason stands in the JSON before the answer, is written at the price of a few dozen
tokens, and is thrown away.
"""

from __future__ import annotations

import json
from dataclasses import replace

from ...engine.errors import InvalidAnswer
from ..models.base import Answer, Generate, JsonAnswer, Reply
from .batched import answer_schema, read

REASON_TOKENS = 48
"""What a reason takes, about; it may take twice as many."""
_RULE = (
    'Answer with one JSON object: first "reason", one short sentence that says what in the input decides, then "answer", '
    "which is the answer asked for above and nothing else."
)


def reasons_first(request: Generate) -> Generate:
    """The request in that wording.

    >>> reasons_first(Generate("Translate.", "Text: hallo", max_tokens=10)).max_tokens
    106
    """
    schema = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "answer": answer_schema(request.answer)},
        "required": ["reason", "answer"],
        "additionalProperties": False,
    }
    form = JsonAnswer(json.dumps(schema, separators=(",", ":"), ensure_ascii=False))
    system = f"{request.system}\n{_RULE}" if request.system else _RULE
    return replace(request, system=system, answer=form, max_tokens=request.max_tokens + 2 * REASON_TOKENS)


def without_reason(reply: Reply, answer: Answer) -> Reply:
    """The reply as the plain question would have got it.

    Raises
    ------
    InvalidAnswer : there is no such answer in it.

    >>> from anserdb.udfs.models.base import ChoiceAnswer
    >>> without_reason(Reply('{"reason": "It is late.", "answer": "Yes"}'), ChoiceAnswer(("Yes", "No"))).text
    'Yes'
    """
    (plain,) = read(reply, ("answer",), answer)
    if plain is None:
        raise InvalidAnswer("The answer has a reason, and no answer that is allowed.", answer=reply.text)
    return replace(reply, text=plain.text, scores=None)
