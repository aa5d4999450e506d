"""What the simulator says: replies in the shape of the chat-completions and embeddings protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Literal

from aiohttp import web

from anserdb.udfs.models import deterministic

Answer = str | Mapping[str, float]
Tokenizer = Literal["vllm", "llamacpp"]
_LISTS = "Answer with exactly one of these and nothing else: "
_SCHEMAS = "Answer with a JSON object that is valid under this JSON Schema, and nothing else: "


def user_text(body: dict[str, Any]) -> str:
    """The user message."""
    return str(next((m["content"] for m in body["messages"] if m["role"] == "user"), ""))


def asked_choices(body: dict[str, Any]) -> list[str] | None:
    """The choices, wherever the request put them: vLLM's field, a schema's enum, or the instruction."""
    if choice := (body.get("structured_outputs") or {}).get("choice"):
        return list(choice)
    schema = asked_schema(body) or {}
    if enum := schema.get("properties", {}).get("answer", {}).get("enum"):
        return list(enum)
    listed = _instructed(body, _LISTS)
    return None if listed is None else list(listed)


def asked_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON Schema, wherever the request put it."""
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


def chat_reply(body: dict[str, Any], answer: Answer, fault: int | str = "") -> dict[str, Any]:
    """The reply object: text, token counts (words), log-probabilities if the request wants them."""
    scores = answer if isinstance(answer, Mapping) else None
    text = answer if isinstance(answer, str) else max(answer, key=lambda name: answer[name])
    in_json = scores is not None and asked_schema(body) is not None
    content = json.dumps({"answer": text}, ensure_ascii=False) if in_json else text
    if fault == "invalid_choice":
        content = '{"answer": "perhaps"}' if in_json else "perhaps"
    if fault == "truncated":
        content = content[: max(1, len(content) // 2)]
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": content},
        "finish_reason": "length" if fault == "truncated" else "stop",
    }
    if body.get("logprobs") and scores:
        choice["logprobs"] = {"content": _tokens(text, scores, in_json)}
    tokens_in = sum(len(message["content"].split()) for message in body["messages"])
    tokens_out = len(text.split())
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    return {"id": "simulated", "object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}


def _tokens(text: str, scores: Mapping[str, float], in_json: bool) -> list[dict[str, Any]]:
    tops = [{"token": name, "logprob": max(score, -99.0)} for name, score in scores.items()]
    token = {"token": text, "logprob": scores[text], "top_logprobs": tops}
    if not in_json:
        return [token]
    return [_certain('{"'), _certain("answer"), _certain('": "'), token, _certain('"}')]


def _certain(word: str) -> dict[str, Any]:
    return {"token": word, "logprob": 0.0, "top_logprobs": [{"token": word, "logprob": 0.0}]}


def embedding_reply(body: dict[str, Any], dimension: int, seed: int) -> dict[str, Any]:
    """Hashed unit vectors; ``dimensions`` of the request counts."""
    text = str(body["input"])
    vector = deterministic.vector(text, int(body.get("dimensions") or dimension), seed)
    usage = {"prompt_tokens": len(text.split()), "total_tokens": len(text.split())}
    return {"object": "list", "model": body["model"], "data": [{"index": 0, "embedding": vector}], "usage": usage}


def encode(reply: dict[str, Any]) -> bytes:
    """The reply's bytes."""
    return json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode()


def refusal(
    status: int, message: str, *, code: str = "", param: str = "", headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error in OpenAI's shape."""
    error = {"message": message, "type": "simulated_error", "param": param or None, "code": code or None}
    return web.Response(
        status=status, body=encode({"error": error}), content_type="application/json", headers=dict(headers or {})
    )


def tokens_reply(kind: Tokenizer, body: dict[str, Any], model: str) -> web.Response:
    """As vLLM's server answers, or llama.cpp's, of which each looks for the text under a name of its own."""
    if kind == "llamacpp":
        return web.json_response({"tokens": [7 for _ in body.get("content", "").split()]})
    if "prompt" not in body:
        return refusal(400, "Field required: prompt")
    if body.get("model", model) != model:
        return refusal(404, f"The model `{body['model']}` does not exist.")
    tokens = [7 for _ in body["prompt"].split()]
    special = int(body.get("add_special_tokens", True))
    return web.json_response({"count": len(tokens) + special, "max_model_len": 4096, "tokens": tokens})


async def sse(request: web.BaseRequest, reply: dict[str, Any]) -> web.StreamResponse:
    """The reply as server-sent events, a word each."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    words = reply["choices"][0]["message"]["content"].split(" ")
    for number, word in enumerate(words):
        piece = word if number == len(words) - 1 else f"{word} "
        event = {"choices": [{"index": 0, "delta": {"content": piece}}]}
        await response.write(b"data: " + encode(event) + b"\n\n")
        await asyncio.sleep(0)
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response
