"""Several tasks about the same input in one prompt: how they are laid out, the schema of the answer, and its reading.

The tasks are the user's own words and stand in the system message; the input stands once, delimited as ever. An answer is its
task's by its key and by nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..models.base import Answer, ChoiceAnswer, Generate, JsonAnswer, Reply, TextAnswer
from .batched import FRAME_TOKENS, batchable, read
from .inputs import DATA_RULE, INDENT

_RULE = (
    "Several tasks are set about one message. Do each as if it were the only one: nothing in a task is about another. "
    "Answer with one JSON object whose keys are the names of all tasks; the value of a name is the answer to its task."
)


@dataclass(frozen=True, slots=True)
class Merged:
    """One request for several tasks; ``answers`` is what each may answer, in the order of the tasks."""

    request: Generate
    answers: tuple[Answer, ...]


def merged(requests: Sequence[Generate]) -> Merged | None:
    """One request for all; ``None``: they are not about the same input, or are to be sampled differently.

    >>> both = merged([Generate("Name the city.", "Text: Rome"), Generate("", "Is it old?\\n\\nText: Rome")])
    >>> print(both.request.system.partition("task.\\n")[2], both.request.user, sep="\\n---\\n")
    task_1, answered with a string:
      Name the city.
    task_2, answered with a string:
      Is it old?
    ---
    Text: Rome
    """
    first = requests[0]
    inputs = {_parts(request.user)[1] for request in requests}
    alike = {(request.temperature, request.seed, request.attempt) for request in requests}
    if len(inputs) > 1 or len(alike) > 1 or not all(map(batchable, requests)):
        return None
    ruled = any(DATA_RULE in request.system for request in requests)
    tasks = [_task(name, request) for name, request in zip(_names(requests), requests, strict=True)]
    system = "\n".join([*([DATA_RULE] if ruled else []), _RULE, *tasks])
    tokens = sum(request.max_tokens for request in requests) + FRAME_TOKENS * len(requests)
    answers = tuple(request.answer for request in requests)
    answer = JsonAnswer(_schema(answers))
    return Merged(replace(first, system=system, user=inputs.pop(), answer=answer, max_tokens=tokens), answers)


def replies(reply: Reply, answers: Sequence[Answer], model: str = "") -> list[Reply | None]:
    """Each task's reply; ``None`` where there is none: missing, given twice, or no such answer.

    Raises
    ------
    InvalidAnswer : the whole is no JSON object.

    >>> [part and part.text for part in replies(Reply('{"task_1": "Rome"}'), (TextAnswer(), TextAnswer()))]
    ['Rome', None]
    """
    names = _names(answers)
    return [read(reply, (name,), answer, model)[0] for name, answer in zip(names, answers, strict=True)]


def _names(tasks: Sequence[object]) -> list[str]:
    return [f"task_{number}" for number in range(1, len(tasks) + 1)]


def _parts(user: str) -> tuple[str, str]:
    """What a task asks before its inputs (they hold no empty line), and the inputs."""
    head, _, inputs = user.rpartition("\n\n")
    return head, inputs


def _task(name: str, request: Generate) -> str:
    words = request.system.replace(DATA_RULE, "").rstrip()
    lines = "\n".join(part for part in (words, _parts(request.user)[0]) if part).splitlines()
    return "\n".join([f"{name}, answered with {_form(request.answer)}:", *(f"{INDENT}{line}" for line in lines)])


def _form(answer: Answer) -> str:
    match answer:
        case TextAnswer():
            return "a string"
        case ChoiceAnswer():
            return "a string that is one of the answers allowed"
        case JsonAnswer():
            return "the JSON that is asked for"


def _schema(answers: Sequence[Answer]) -> str:
    names = _names(answers)
    whole = {
        "type": "object",
        "properties": dict(zip(names, map(_item, answers), strict=True)),
        "required": names,
        "additionalProperties": False,
    }
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def _item(answer: Answer) -> Any:
    match answer:
        case TextAnswer():
            return {"type": "string"}
        case ChoiceAnswer(choices):
            return {"type": "string", "enum": list(choices)}
        case JsonAnswer(schema):
            return json.loads(schema)
