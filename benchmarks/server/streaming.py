"""Answers as server-sent events, a token each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from .asked import words
from .desk import Kind

DONE = b"data: [DONE]\n\n"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(value: dict[str, Any]) -> bytes:
    """JSON as it goes over the wire."""
    return _encode(value).encode(errors="replace")


def frame(event: dict[str, Any]) -> bytes:
    """One event's bytes."""
    return b"data: " + encode(event) + b"\n\n"


class Stopwatch:
    """Waits until the nth token is due, so that a late token does not delay those after it.

    Parameters
    ----------
    token_s : seconds per token.
    """

    def __init__(self, token_s: float) -> None:
        self._now, self._token_s = asyncio.get_running_loop().time, token_s
        self._started = self._now()

    async def until(self, tokens: int) -> None:
        """Sleep until so many tokens after the first are due."""
        await asyncio.sleep(max(0.0, self._started + tokens * self._token_s - self._now()))


def events(kind: Kind, body: dict[str, Any], reply: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The chunks of a reply, each with the number of tokens before it: the role with the first token, the reason at the
    end, and the usage if ``stream_options`` asks for it."""
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    chunk = {name: value for name, value in reply.items() if name not in ("choices", "usage")}
    chunk["object"] = "chat.completion.chunk" if kind == "chat" else "text_completion"
    extra = {"usage": None} if with_usage else {}
    tokens = 0
    for choice in reply["choices"]:
        for part in _parts(kind, choice):
            yield tokens, {**chunk, "choices": [part], **extra}
            tokens += part["finish_reason"] is None
    if with_usage:
        yield tokens, {**chunk, "choices": [], "usage": reply["usage"]}


def _parts(kind: Kind, choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = choice["message"]["content"] if kind == "chat" else choice["text"]
    logprobs = (choice.get("logprobs") or {}).get("content") or []
    # Log-probabilities come with the tokens that they are of, where these are the content's.
    whole = "".join(token["token"] for token in logprobs) == content
    pieces = [token["token"] for token in logprobs] if logprobs and whole else words(content) or [""]
    for number, piece in enumerate(pieces):
        likely = {"logprobs": {"content": [logprobs[number]]}} if logprobs and whole else {}
        yield {"index": choice["index"], **_text(kind, piece, number), **likely, "finish_reason": None}
    yield {"index": choice["index"], **_text(kind, "", None), "finish_reason": choice["finish_reason"]}


def _text(kind: Kind, piece: str, number: int | None) -> dict[str, Any]:
    if kind == "text":
        return {"text": piece}
    if number is None:
        return {"delta": {}}
    return {"delta": {"role": "assistant", "content": piece} if number == 0 else {"content": piece}}
