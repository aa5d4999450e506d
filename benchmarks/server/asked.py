"""What a request asks for, wherever its protocol puts it."""

from __future__ import annotations

import json
import re
from typing import Any

# The instructions of our own client to servers that take no schema.
_LISTS = "Answer with exactly one of these and nothing else: "
_SCHEMAS = "Answer with a JSON object that is valid under this JSON Schema, and nothing else: "
_WORD = re.compile(r"\s*\S+\s*|\s+")


def words(text: str) -> list[str]:
    """The tokens of a text: its words, each with the white space around it, so that they put together are the text.

    >>> words('{"a": 1}  x')
    ['{"a": ', '1}  ', 'x']
    """
    return _WORD.findall(text)


def user_text(body: dict[str, Any]) -> str:
    """The user message."""
    return str(next((m["content"] for m in body["messages"] if m["role"] == "user"), ""))


def prompt(body: dict[str, Any]) -> list[str]:
    """The prompt's tokens: of all messages, of a completion's prompt, or of the texts to embed."""
    if "messages" in body:
        return [word for message in body["messages"] for word in str(message["content"]).split()]
    return [word for text in texts(body) for word in text.split()]


def texts(body: dict[str, Any]) -> list[str]:
    """The texts of a request for completions or embeddings."""
    given = body.get("input", body.get("prompt", ""))
    return [str(text) for text in given] if isinstance(given, list) else [str(given)]


def most_tokens(body: dict[str, Any]) -> int | None:
    """The cap on the answer."""
    most = body.get("max_completion_tokens", body.get("max_tokens"))
    return None if most is None else int(most)


def asked_choices(body: dict[str, Any]) -> list[str] | None:
    """The choices: in vLLM's field, a schema's enum, or the instruction."""
    if choice := (body.get("structured_outputs") or {}).get("choice"):
        return list(choice)
    schema = asked_schema(body) or {}
    if enum := schema.get("properties", {}).get("answer", {}).get("enum"):
        return list(enum)
    listed = _instructed(body, _LISTS)
    return None if listed is None else list(listed)


def asked_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON Schema: in vLLM's field, the response format, or the instruction."""
    if schema := (body.get("structured_outputs") or {}).get("json"):
        return dict(schema)
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        return dict(form["json_schema"]["schema"])
    schema = _instructed(body, _SCHEMAS)
    return None if schema is None else dict(schema)


def _instructed(body: dict[str, Any], lead: str) -> Any:
    for message in body["messages"]:
        if message["role"] == "system" and lead in message["content"]:
            return json.loads(message["content"].partition(lead)[2])
    return None
