"""A model's side of a prompt that holds several rows: each is answered as it would be alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from anserdb.udfs.models import deterministic
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, JsonAnswer, Request, TextAnswer
from anserdb.udfs.models.scripted import ScriptedModel

_ITEM = re.compile(r"^([a-z]{4,}):\n((?:  .*(?:\n|\Z))*)", re.MULTILINE)
_HEAD = "For every item: "
AnswerItem = Callable[[str, Mapping[str, Any]], Any]


def items(user: str) -> dict[str, str]:
    """Each row's own message by its id, as it is sent when the row is alone; empty for a message about one row.

    >>> items("For every item: Good?\\n\\nbcdf:\\n  Text: a\\n    b\\n\\nghjk:\\n  Text: c")
    {'bcdf': 'Good?\\n\\nText: a\\n  b', 'ghjk': 'Good?\\n\\nText: c'}
    """
    if not (user.startswith(_HEAD) or _ITEM.match(user)):
        return {}
    head = ""
    if user.startswith(_HEAD):
        first, _, user = user.partition("\n\n")
        head = "\n".join(line.removeprefix("  ") for line in first.removeprefix(_HEAD).split("\n")) + "\n\n"
    return {
        name: head + "\n".join(line.removeprefix("  ") for line in text.rstrip("\n").split("\n"))
        for name, text in _ITEM.findall(user)
    }


def answer_item(text: str, schema: Mapping[str, Any]) -> Any:
    """A row's answer, from its message and the part of the schema that is about it."""
    if "entities" in schema.get("properties", {}):
        words = text.partition(": ")[2].split()
        return {"entities": [{"label": "NAME", "text": words[-1]}] if words else []}
    if schema == {"type": "string"}:
        return deterministic.sentence(text)
    return deterministic.json_value(text, schema)


def answer_all(user: str, schema: Mapping[str, Any], answer: AnswerItem = answer_item) -> dict[str, Any]:
    """The answer to a message about several rows."""
    return {name: answer(text, schema["properties"][name]) for name, text in items(user).items()}


def in_company(read: Callable[[Request], str]) -> Callable[[Request], str]:
    """A reader of prompts about one row, made to answer those about several as well: each row as it does alone."""

    def answer(request: Request) -> str:
        if not isinstance(request, Generate) or not isinstance(request.answer, JsonAnswer) or not items(request.user):
            return read(request)
        single = partial(_single, request, read)
        return deterministic.dumps(answer_all(request.user, json.loads(request.answer.schema), single))

    return answer


def _single(request: Generate, read: Callable[[Request], str], text: str, schema: Mapping[str, Any]) -> Any:
    if schema == {"type": "string"}:
        return read(replace(request, user=text, answer=TextAnswer()))
    if schema.keys() == {"type", "enum"}:
        return read(replace(request, user=text, answer=ChoiceAnswer(tuple(schema["enum"]))))
    return json.loads(read(replace(request, user=text, answer=JsonAnswer(json.dumps(schema)))))


def reply_alone(request: Request) -> str:
    """The scripted answer to a prompt about one row."""
    assert isinstance(request, Generate)
    match request.answer:
        case JsonAnswer(schema):
            return deterministic.dumps(answer_item(request.user, json.loads(schema)))
        case ChoiceAnswer(choices):
            return str(answer_item(request.user, {"type": "string", "enum": list(choices)}))
        case TextAnswer():
            return str(answer_item(request.user, {"type": "string"}))


reply = in_company(reply_alone)
"""The scripted answer to either kind of prompt."""


def row_model(*first: Any, concurrency: int = 64, **options: Any) -> ScriptedModel:
    """A scripted model without probabilities that answers rows the same in company as alone, after the rules given."""
    capabilities = Capabilities(local=True, concurrency=concurrency)
    return ScriptedModel([*first, ("", reply)], capabilities=capabilities, **options)
