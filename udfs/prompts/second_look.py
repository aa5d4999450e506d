"""Critique and refinement: a draft answer is looked at again, and written anew where something is wrong with it.

Madaan et al., 2023, "Self-Refine". The draft and what is said of it are data like a row's inputs, laid out as those are.
"""

from __future__ import annotations

import json
from dataclasses import replace

from ...engine.errors import InvalidAnswer
from ..models.base import Generate, JsonAnswer, Reply
from .inputs import fields

CRITIQUE_TOKENS = 160
_CRITIQUE = (
    "A colleague was given the task below and proposes an answer. Check every part of that answer against the input: what is "
    'wrong, missing or made up? Answer with one JSON object: "problems", a list of short sentences (empty if there are none), '
    'then "correct", true only if nothing has to change.\n\nThe task was:\n'
)
_REFINE = "A draft answer and what was found wrong with it stand after the input. Give the answer that is right."
_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"problems": {"type": "array", "items": {"type": "string"}}, "correct": {"type": "boolean"}},
        "required": ["problems", "correct"],
        "additionalProperties": False,
    },
    separators=(",", ":"),
)


def critique(request: Generate, draft: str) -> Generate:
    """What is wrong with a draft?"""
    user = _with(request.user, ("proposed answer",), (draft,))
    return replace(
        request, system=_CRITIQUE + request.system, user=user, answer=JsonAnswer(_SCHEMA), max_tokens=CRITIQUE_TOKENS
    )


def objections(reply: Reply) -> tuple[str, ...]:
    """What the critic objects to; nothing if it finds the draft correct.

    Raises
    ------
    InvalidAnswer : it is no critique.

    >>> objections(Reply('{"problems": ["No date."], "correct": false}')), objections(Reply('{"problems": [], "correct": true}'))
    (('No date.',), ())
    """
    try:
        said = json.loads(reply.text)
        problems, correct = tuple(str(problem) for problem in said["problems"]), said["correct"]
    except (ValueError, TypeError, KeyError):
        raise InvalidAnswer("The answer is no critique.", answer=reply.text) from None
    return () if correct is True else problems or ("Something has to change.",)


def refinement(request: Generate, draft: str, problems: tuple[str, ...]) -> Generate:
    """The question once more, with the draft and its critique."""
    user = _with(request.user, ("draft answer", "found wrong with it"), (draft, "\n".join(problems)))
    return replace(request, system=f"{request.system}\n{_REFINE}" if request.system else _REFINE, user=user)


def _with(user: str, names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return f"{user}\n{fields(names, values)}" if user else fields(names, values)
