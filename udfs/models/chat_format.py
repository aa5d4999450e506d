"""Requests and replies of the chat-completions protocol, and what a particular server turned out not to take.

Servers that speak the protocol differ in the parameters they know. A :class:`Dialect` starts from the best form and,
when the server refuses one with HTTP 400, does without it from then on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from ...engine.errors import InvalidAnswer
from .base import ChoiceAnswer, Generate, JsonAnswer, Reply, TextAnswer, Usage
from .choices import choice_scores, match_choice
from .http_errors import Refusal, too_long
from .json_answer import full_match_pattern, read_json, server_schema

Form = Literal["structured_outputs", "json_schema", "json_object", "none"]
FORMS: tuple[Form, ...] = ("structured_outputs", "json_schema", "json_object", "none")
_ANSWER = "answer"
_TOP_LOGPROBS = 20
_FRAME_TOKENS = 48
# Words of a 400 that blame the form of the answer; servers word it freely, and many name no parameter.
_FORM_WORDS = ("response_format", "json_schema", "json_object", "structured", "guided", "schema", "grammar")
_DROPPABLE = ("max_tokens", "temperature", "seed", "logprobs", "top_logprobs", "dimensions")
# A server that does not stream says so in words of its own.
_STREAMED = re.compile(r"\bstream(?:s|ed|ing)?\b")


class Dialect:
    """How to ask one server.

    Parameters
    ----------
    model : the server's own model name.
    form : the strongest constraint to try first.
    scores : ask for token probabilities when a request wants scores.
    """

    def __init__(self, model: str, form: Form = "json_schema", *, scores: bool = False) -> None:
        self._model = model
        self._form: Form = form
        self._scores = scores
        self._dropped: set[str] = set()

    @property
    def form(self) -> Form:
        """The constraint in use now."""
        return self._form

    def chat(self, request: Generate, *, stream: bool = False) -> dict[str, Any]:
        """The body of ``POST /chat/completions``."""
        instruction = "" if self._constrains(request) else _instruction(request, self._form)
        system = "\n\n".join(part for part in (request.system, instruction) if part)
        messages = [{"role": "user", "content": request.user}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        body: dict[str, Any] = {"model": self._model, "messages": messages}
        body |= self._known({"temperature": request.temperature, **self._length(request), "seed": _seed(request)})
        body |= self._constraint(request)
        if self._wants_scores(request):
            body |= self._known({"logprobs": True, "top_logprobs": _TOP_LOGPROBS})
        return body | self._streaming() if stream else body

    def embeddings(self, text: str, dimension: int | None) -> dict[str, Any]:
        """The body of ``POST /embeddings``."""
        return {"model": self._model, "input": text, **self._known({"dimensions": dimension})}

    def learn(self, refusal: Refusal, *, stream: bool = False) -> bool:
        """Do without what the refusal (of a request with ``stream``) blames; ``False``: nothing that can be left out."""
        if refusal.status not in (400, 422) or too_long(refusal):
            return False
        words = f"{refusal.param} {refusal.code} {refusal.text}".lower()
        if stream and (
            blamed := self._blamed_streaming(words)
        ):  # first: an answer needs its form more than to be heard
            self._dropped |= blamed
            return True
        if self._form != "none" and any(word in words for word in _FORM_WORDS):
            self._form = FORMS[FORMS.index(self._form) + 1]
            return True
        blamed = {name for name in _DROPPABLE if name in words} - self._dropped
        self._dropped |= blamed
        return bool(blamed)

    def _streaming(self) -> dict[str, Any]:
        if "stream" in self._dropped:
            return {}
        return {"stream": True, **self._known({"stream_options": {"include_usage": True}})}

    def _blamed_streaming(self, words: str) -> set[str]:
        if "stream_options" in words and "stream_options" not in self._dropped:
            return {"stream_options"}
        return {"stream"} - self._dropped if _STREAMED.search(words) else set()

    def read(self, request: Generate, reply: Mapping[str, Any], seconds: float, name: str = "") -> Reply:
        """The reply, its answer validated.

        Raises
        ------
        InvalidAnswer : the answer is cut, empty or outside what was asked for.
        """
        try:
            choice = reply["choices"][0]
            text = read_text(choice["message"].get("content"))
        except (KeyError, IndexError, TypeError, AttributeError):
            raise InvalidAnswer("The server's reply holds no answer.", name, json.dumps(reply)) from None
        cut = choice.get("finish_reason") == "length" and not isinstance(request.answer, TextAnswer)
        if cut and not _is_object(text):
            message = f"The answer was cut at {request.max_tokens} tokens: raise max_tokens."
            raise InvalidAnswer(message, name, text)
        scores = self._read_scores(request, choice)
        return Reply(self._read_text(request, text, name), scores, usage=read_usage(reply), seconds=seconds)

    def _read_text(self, request: Generate, text: str, name: str) -> str:
        match request.answer:
            case ChoiceAnswer(choices):
                return match_choice(text, choices, name)
            case JsonAnswer(schema) if self._form == "structured_outputs" and full_match_pattern(schema):
                return json.dumps(text, ensure_ascii=False)
            case JsonAnswer(schema):
                return read_json(text, wrapped=server_schema(schema).wrapped, model=name)
            case TextAnswer():
                return text

    def _read_scores(self, request: Generate, choice: Mapping[str, Any]) -> dict[str, float] | None:
        tokens = (choice.get("logprobs") or {}).get("content")
        if not tokens or not isinstance(request.answer, ChoiceAnswer) or not self._wants_scores(request):
            return None
        return choice_scores(tokens, request.answer.choices)

    def _wants_scores(self, request: Generate) -> bool:
        return self._scores and isinstance(request.answer, ChoiceAnswer) and request.answer.scores

    def _known(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if value is not None and name not in self._dropped}

    def _length(self, request: Generate) -> dict[str, Any]:
        # The newer name is the only one that OpenAI's reasoning models take, the older the only one many servers know.
        name = "max_completion_tokens" if "max_tokens" in self._dropped else "max_tokens"
        limit = request.max_tokens
        if isinstance(request.answer, ChoiceAnswer) and self._form in ("json_schema", "json_object"):
            # The caller's cap is for the choice; the JSON around it, which is ours, needs room too.
            limit = max(limit, _FRAME_TOKENS + max(map(len, request.answer.choices), default=0))
        return {name: limit}

    def _constrains(self, request: Generate) -> bool:
        return isinstance(request.answer, TextAnswer) or self._form in ("structured_outputs", "json_schema")

    def _constraint(self, request: Generate) -> dict[str, Any]:
        if isinstance(request.answer, TextAnswer) or self._form == "none":
            return {}
        if self._form == "json_object":
            return {"response_format": {"type": "json_object"}}
        match request.answer, self._form:
            case ChoiceAnswer(choices), "structured_outputs":
                return {"structured_outputs": {"choice": list(choices)}}
            case JsonAnswer(schema), "structured_outputs":
                pattern = full_match_pattern(schema)
                return {"structured_outputs": {"regex": pattern} if pattern else {"json": server_schema(schema).schema}}
            case ChoiceAnswer(choices), _:
                return _response_format(_choice_schema(choices), strict=True)
            case JsonAnswer(schema), _:
                sent = server_schema(schema)
                return _response_format(sent.schema, strict=sent.strict)


def read_text(content: object) -> str:
    """The words of a message or of a part of one; some servers send a list of parts.

    Raises
    ------
    TypeError, KeyError : it is nothing of the kind.

    >>> read_text("Hi"), read_text([{"type": "text", "text": "Hi"}]), read_text(None)
    ('Hi', 'Hi', '')
    """
    if isinstance(content, list):
        return "".join(read_text(part["text"]) for part in content if part["type"] == "text")
    if content is None or isinstance(content, str):
        return content or ""
    raise TypeError("neither text nor parts of it")


def read_usage(reply: Mapping[str, Any]) -> Usage:
    """Tokens as the server counted them; what is no count is unknown."""
    usage = _object(reply.get("usage"))
    cached = _object(usage.get("prompt_tokens_details")).get("cached_tokens")
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    # JSON has one kind of number: 12.0 is a count. Beyond 2^53 none is.
    return int(value) if isinstance(value, int | float) and 0 <= value < 2**53 else None


def _is_object(text: str) -> bool:
    """Whether a reply is whole although it was cut: only white space after the JSON object can be missing."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _seed(request: Generate) -> int | None:
    # A re-ask with the seed of the answer that failed would only repeat it.
    return None if request.seed is None else request.seed + request.attempt


def _choice_schema(choices: tuple[str, ...]) -> dict[str, Any]:
    answer = {"type": "string", "enum": list(choices)}
    return {"type": "object", "properties": {_ANSWER: answer}, "required": [_ANSWER], "additionalProperties": False}


def _response_format(schema: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": _ANSWER, "schema": schema, "strict": strict}}
    }


def _instruction(request: Generate, form: Form) -> str:
    match request.answer:
        case ChoiceAnswer(choices) if form == "json_object":
            return _schema_instruction(_choice_schema(choices))
        case ChoiceAnswer(choices):
            return f"Answer with exactly one of these and nothing else: {json.dumps(choices, ensure_ascii=False)}"
        case JsonAnswer(schema):
            return _schema_instruction(server_schema(schema).schema)
        case TextAnswer():
            return ""


def _schema_instruction(schema: dict[str, Any]) -> str:
    shown = json.dumps(schema, ensure_ascii=False)
    return f"Answer with a JSON object that is valid under this JSON Schema, and nothing else: {shown}"
