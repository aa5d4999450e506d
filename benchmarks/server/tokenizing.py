"""``/tokenize`` as vLLM's server answers it, or llama.cpp's."""

from __future__ import annotations

from typing import Any, Literal

from .desk import Refused

Tokenizer = Literal["vllm", "llamacpp"]


def tokens_reply(kind: Tokenizer, body: dict[str, Any], model: str) -> dict[str, Any]:
    """Each looks for the text under a name of its own.

    Raises
    ------
    Refused : vLLM knows neither the text nor the model.

    >>> tokens_reply("vllm", {"prompt": "two words"}, "m")["count"]
    3
    """
    if kind == "llamacpp":
        return {"tokens": [7 for _ in body.get("content", "").split()]}
    if "prompt" not in body:
        raise Refused(400, "Field required: prompt")
    if body.get("model", model) != model:
        raise Refused(404, f"The model `{body['model']}` does not exist.")
    tokens = [7 for _ in body["prompt"].split()]
    special = int(body.get("add_special_tokens", True))
    return {"count": len(tokens) + special, "max_model_len": 4096, "tokens": tokens}
