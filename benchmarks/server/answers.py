"""What the simulator says: replies in the shape of the protocol's chat completions, completions and embeddings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from anserdb.udfs.models import deterministic

from .asked import asked_choices, asked_schema, most_tokens, texts, user_text, words
from .bill import Tokens
from .faults import Fault

Answer = str | Mapping[str, float]
_OUTSIDE = "perhaps"


def scripted_answer(body: dict[str, Any], seed: int = 0) -> Answer:
    """ScriptedModel's answer to the same text: scores for choices, else a text."""
    text = user_text(body)
    if choices := asked_choices(body):
        return deterministic.scores(text, choices, seed)
    if schema := asked_schema(body):
        return json.dumps(_value(text, schema, seed), ensure_ascii=False)
    return deterministic.sentence(text, seed)


def _value(text: str, schema: dict[str, Any], seed: int) -> Any:
    if set(schema.get("properties", ())) == {"value"}:  # the client's wrapper around a value that is no object
        return {"value": deterministic.json_value(text, schema["properties"]["value"], seed)}
    return deterministic.json_value(text, schema, seed)


def chat_reply(body: dict[str, Any], answer: Answer, fault: Fault | None = None) -> dict[str, Any]:
    """The reply to a chat request, without its usage."""
    scores = answer if isinstance(answer, Mapping) else None
    text = answer if isinstance(answer, str) else max(answer, key=lambda name: answer[name])
    in_json = scores is not None and asked_schema(body) is not None
    content = json.dumps({"answer": text}, ensure_ascii=False) if in_json else text
    content, reason = _cut(_spoilt(content, body, fault), body, fault)
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": content},
        "finish_reason": reason,
    }
    if body.get("logprobs"):
        choice["logprobs"] = {"content": _logprobs(text, scores, in_json=in_json)}
    choices = [] if fault is not None and fault.what == "empty_choices" else [choice]
    return {"id": "simulated", "object": "chat.completion", "created": 0, "model": body["model"], "choices": choices}


def _spoilt(content: str, body: dict[str, Any], fault: Fault | None) -> str:
    what = None if fault is None else fault.what
    schema = asked_schema(body) if what in ("wrong_schema", "malformed_json") else None
    if what == "malformed_json" and schema is not None:
        return f"{content[:-1]},"
    if what == "wrong_schema" and (choices := asked_choices(body)):
        outside = _OUTSIDE if _OUTSIDE not in choices else f"not {_OUTSIDE}"
        return json.dumps({"answer": outside}) if schema is not None else outside
    if what == "wrong_schema" and schema is not None:
        return json.dumps({"unasked": [1, "two", None]})
    return content


def _cut(content: str, body: dict[str, Any], fault: Fault | None) -> tuple[str, str]:
    """The content within ``max_tokens``, and the reason why it ends."""
    if fault is not None and fault.what == "truncated":
        return content[: max(1, len(content) // 2)], "length"
    most = most_tokens(body)
    # Fewer characters than tokens allowed: the common case, without counting words.
    if most is None or len(content) <= most or len(pieces := words(content)) <= most:
        return content, "stop"
    return "".join(pieces[:most]), "length"


def _logprobs(text: str, scores: Mapping[str, float] | None, *, in_json: bool) -> list[dict[str, Any]]:
    if scores is None:
        # The likelihood of a free text's words means nothing here; that it is there, and the same every time, does.
        return [_token(word, -deterministic.fraction(word)) for word in words(text)]
    tops = [{"token": name, "logprob": max(score, -99.0)} for name, score in scores.items()]
    token = {"token": text, "logprob": scores[text], "top_logprobs": tops}
    if not in_json:
        return [token]
    return [_token('{"'), _token("answer"), _token('": "'), token, _token('"}')]


def _token(word: str, logprob: float = 0.0) -> dict[str, Any]:
    return {"token": word, "logprob": logprob, "top_logprobs": [{"token": word, "logprob": logprob}]}


def as_chat(body: dict[str, Any], text: str) -> dict[str, Any]:
    """A request to complete a prompt, as the chat request that is answered with the same text."""
    return {**body, "messages": [{"role": "user", "content": text}], "logprobs": None}


def completion_reply(body: dict[str, Any], replies: list[dict[str, Any]]) -> dict[str, Any]:
    """The reply to a request of completions, from those to its prompts."""
    choices = [
        {
            "index": index,
            "text": choice["message"]["content"],
            "finish_reason": choice["finish_reason"],
            "logprobs": None,
        }
        for index, reply in enumerate(replies)
        for choice in reply["choices"]
    ]
    return {"id": "simulated", "object": "text_completion", "created": 0, "model": body["model"], "choices": choices}


def embedding_reply(body: dict[str, Any], dimension: int, seed: int) -> dict[str, Any]:
    """Hashed unit vectors; ``dimensions`` of the request counts."""
    length = int(body.get("dimensions") or dimension)
    data = [
        {"object": "embedding", "index": index, "embedding": deterministic.vector(text, length, seed)}
        for index, text in enumerate(texts(body))
    ]
    return {"object": "list", "model": body["model"], "data": data}


def tokens_out(reply: dict[str, Any]) -> int:
    """The tokens of all of a reply's texts."""
    contents = (
        choice.get("text") or choice.get("message", {}).get("content", "") for choice in reply.get("choices", ())
    )
    return sum(len(words(content)) for content in contents)


def usage(tokens: Tokens, *, cache: bool) -> dict[str, Any]:
    """The reply's ``usage``."""
    total = tokens.tokens_in + tokens.tokens_out
    found: dict[str, Any] = {
        "prompt_tokens": tokens.tokens_in,
        "completion_tokens": tokens.tokens_out,
        "total_tokens": total,
    }
    return {**found, "prompt_tokens_details": {"cached_tokens": tokens.tokens_cached}} if cache else found
